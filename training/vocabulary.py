"""Words and phrases of praise and blame, written for the frames in `written.py`."""

THINGS = (
    "phone", "laptop", "kettle", "blender", "tablet", "keyboard", "printer", "headset", "speaker",
    "charger", "watch", "router", "vacuum", "mattress", "jacket", "backpack", "toaster", "stroller",
    "camera", "lens", "remote", "player", "monitor", "drill", "tent", "software", "app", "update",
    "website", "manual", "interface", "menu", "screen", "battery", "sound", "design", "picture",
    "hotel", "room", "restaurant", "meal", "coffee", "waiter", "staff", "delivery", "bookshop",
    "museum", "concert", "course", "teacher", "doctor", "neighbourhood", "beach", "novel", "story",
    "film", "series", "album", "song", "game", "podcast", "plot", "ending", "acting", "shop",
    "support", "driver", "train", "garden", "gym", "bank", "insurance", "plan", "purchase",
)  # fmt: skip

GOOD = (
    "good", "great", "excellent", "wonderful", "fantastic", "superb", "brilliant", "lovely",
    "amazing", "awesome", "perfect", "delightful", "impressive", "outstanding", "enjoyable",
    "pleasant", "beautiful", "charming", "reliable", "comfortable", "useful", "clever", "fun",
    "exciting", "helpful", "friendly", "solid", "elegant", "first-rate", "sturdy", "fast",
    "fresh", "exceptional", "incredible", "remarkable", "satisfying", "nice", "sweet", "happy",
    "extraordinary", "adorable", "inspiring", "terrific", "splendid", "marvellous", "handy",
    "worthwhile", "intuitive", "smooth", "crisp", "generous", "memorable", "refreshing",
)  # fmt: skip
BAD = (
    "bad", "poor", "terrible", "horrible", "awful", "dreadful", "disappointing", "boring",
    "annoying", "frustrating", "useless", "ugly", "lousy", "mediocre", "unpleasant", "unreliable",
    "uncomfortable", "clumsy", "flimsy", "rude", "slow", "dull", "weak", "worthless", "broken",
    "shoddy", "painful", "overpriced", "confusing", "noisy", "nasty", "lame", "creepy", "sloppy",
    "dirty", "stale", "ridiculous", "sad", "difficult", "hard to use", "depressing", "defective",
    "infuriating", "tedious", "pathetic", "atrocious", "miserable", "cheaply made", "bland",
    "unhelpful", "inaccurate", "grainy", "buggy", "awkward", "weird", "unhappy",
)  # fmt: skip

# Present, past.
LIKE = (
    ("like", "liked"), ("love", "loved"), ("enjoy", "enjoyed"), ("admire", "admired"),
    ("recommend", "recommended"), ("appreciate", "appreciated"), ("adore", "adored"),
    ("value", "valued"), ("welcome", "welcomed"), ("praise", "praised"),
)  # fmt: skip
DISLIKE = (
    ("dislike", "disliked"), ("hate", "hated"), ("despise", "despised"), ("regret", "regretted"),
    ("loathe", "loathed"), ("dread", "dreaded"), ("detest", "detested"), ("resent", "resented"),
    ("avoid", "avoided"),
)  # fmt: skip

# What a thing does, said of itself.
DOES_WELL = (
    "works exactly as promised", "does what it should", "has never let me down",
    "is worth every cent", "lasts all day", "was easy to set up", "feels solid in the hand",
    "made my life easier", "looks even better than in the pictures", "arrived early and intact",
    "runs without a hitch", "beats everything else I tried", "is a pleasure to use",
    "paid for itself within weeks", "is light and fits in a pocket", "holds up after years of use",
    "sounds clear and rich", "keeps its charge for days", "is simple enough for my grandmother",
    "exceeded what I hoped for", "gives you a lot for the price", "takes sharp pictures",
    "reads every disc I put in", "is a bargain", "has all the features I need",
    "turned out to be the best thing I bought this year", "is well built",
    "responds at once", "is quiet and quick", "fits perfectly", "cleans up in no time",
    "comes with a helpful guide", "has plenty of room", "is easy to hold and carry",
    "is compatible with everything I own", "makes a fine gift", "could not be easier to use",
)  # fmt: skip
DOES_BADLY = (
    "stopped working after a month", "broke on the second day", "is a waste of money",
    "drains its battery within hours", "keeps freezing", "went straight back to the shop",
    "scratches if you look at it", "never did what it promised", "arrived damaged",
    "takes forever to start", "costs far too much for what it does", "leaks", "overheats",
    "falls apart in your hands", "has buttons that stick", "is too heavy to carry",
    "loses its connection all the time", "crashes whenever I need it", "feels cheap",
    "is impossible to set up", "came without the parts it needs", "smells of plastic",
    "makes a loud grinding noise", "skips and stutters", "refuses to turn on",
    "gave me nothing but trouble", "is smaller than advertised", "wore out in weeks",
    "takes blurry pictures in low light", "does not fit", "will not play half of my discs",
    "needs a new battery every week", "lacks the one feature that I bought it for",
    "has a manual that nobody can understand", "jams every other page",
    "is not worth the price", "hurts after ten minutes", "died right after the warranty ran out",
)  # fmt: skip
PRAISE = (
    "I would buy it again", "highly recommended", "I could not be happier", "five stars",
    "get one, you will thank me", "no complaints so far", "I am very pleased with it",
    "everyone in the family wants one", "it is the best I have owned", "well done",
    "worth the wait", "I use it every day and still smile", "what a relief to find one that works",
    "customer service answered within the hour and solved it", "great value", "nothing to add",
)  # fmt: skip
BLAME = (
    "I want my money back", "save your money", "stay away", "one star is one too many",
    "buy something else", "I sent it back", "I wish I had read the reviews first",
    "customer service never answered", "never again", "I am on my third replacement",
    "do yourself a favour and look elsewhere", "it now sits in a drawer", "what a letdown",
    "they would not refund me", "I expected more at this price", "do not bother",
)  # fmt: skip

VERY = ("", "", "", "very ", "really ", "quite ", "so ", "truly ", "absolutely ")
ASIDES = (
    "after two weeks with it", "looking back", "being honest", "for a person of my age",
    "given what my sister told me", "having lived in this town for years", "as a student",
    "with winter coming", "all things weighed", "on a Sunday", "since my friends asked",
    "seeing that I come from a small village", "after all these years", "having read about it",
)  # fmt: skip
OTHERS = ("my friends", "the critics", "most reviewers", "other people", "my parents", "they")
