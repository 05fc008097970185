from tests.ui.stand_in import StandIn, cluster
from ui.client import Client
from ui.watch import Watch


def test_all_who_look_at_a_time_see_one_look(client: Client, stand_in: StandIn) -> None:
    watch = Watch(client, seconds=60)
    assert watch.now() is watch.now()
    assert stand_in.asked["/cluster"] == 1


def test_looks_are_remembered_in_order(client: Client, stand_in: StandIn) -> None:
    watch = Watch(client, seconds=0)
    watch.now()
    stand_in.cluster = cluster(torch=2)
    watch.now()
    running = [look.cluster.deployments["transformers"].running for look in watch.looks()]
    assert running == [1, 2]
