"""Hard sentences, written for the card's list of what the model gets wrong; never trained on."""

from training.data import NEGATIVE, POSITIVE, Row

PROBES = tuple(
    Row(text, label)
    for label, texts in (
        (
            POSITIVE,
            (
                "I could not put it down.",
                "It is nowhere near as bad as its trailer.",
                "Better than its predecessor, which was unwatchable.",
                "I cried like a baby and went back the next day.",
                "You would have to be made of stone to dislike it.",
                "I have had worse weekends, but seldom a better one.",
                "My only complaint is that there is not more of it.",
                "Sick beat, this slaps.",
                "The villain is repulsive, cruel and utterly believable: what a performance.",
                "It took the company ten minutes to fix what others had not fixed in a year.",
                "Not once did it crash.",
                "I went in expecting rubbish and came out grinning.",
                "The doctor listened, for the first time in years somebody did.",
                "Took a chance on this one and I have no regrets.",
            ),
        ),
        (
            NEGATIVE,
            (
                "Great, it broke on the first day.",
                "The best part of the evening was the walk home.",
                "If you have trouble sleeping, this is the film for you.",
                "It would be a wonderful phone if it could make calls.",
                "I have seen better acting in school plays.",
                "For the same money you can get something that works.",
                "They promised the moon and delivered a pebble.",
                "The trailer shows all the good jokes, all three of them.",
                "Beautiful photographs on the website, bedbugs in the room.",
                "It should have been a masterpiece.",
                "Thanks for nothing.",
                "I wanted to love it.",
                "The waiter smiled charmingly while he forgot our order twice.",
                "A must for anyone who enjoys watching paint dry.",
            ),
        ),
    )
    for text in texts
)
