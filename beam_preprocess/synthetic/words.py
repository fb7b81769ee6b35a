"""Words of the synthetic shop. Those for colour, pattern, motion and tone are in queries only, never in an item."""

# Kind of product: its category path, root first.
KINDS: dict[str, tuple[str, ...]] = {
    "lamp": ("Home", "Lighting", "Lamps"),
    "chair": ("Home", "Furniture", "Chairs"),
    "mug": ("Home", "Kitchen", "Mugs"),
    "vase": ("Home", "Decoration", "Vases"),
    "clock": ("Home", "Decoration", "Clocks"),
    "basket": ("Home", "Storage", "Baskets"),
    "pillow": ("Home", "Textiles", "Pillows"),
    "kettle": ("Home", "Kitchen", "Kettles"),
    "bench": ("Home", "Furniture", "Benches"),
    "tray": ("Home", "Kitchen", "Trays"),
    "mirror": ("Home", "Decoration", "Mirrors"),
    "blanket": ("Home", "Textiles", "Blankets"),
}
MATERIALS = ("oak", "linen", "steel", "glass", "bamboo", "marble", "leather", "wool", "copper", "ceramic")

# Style of a shopper who likes a material; no text of an item names it.
STYLES: dict[str, str] = dict(
    zip(
        MATERIALS,
        ("lodge", "coastal", "industrial", "airy", "zen", "palatial", "rustic", "nordic", "vintage", "potter"),
        strict=True,
    )
)

# The word a shopper uses for each motion of a clip.
MOTION_WORDS: dict[str, str] = {
    "left": "leftward",
    "right": "rightward",
    "up": "rising",
    "down": "falling",
    "spin": "spinning",
    "grow": "growing",
    "shrink": "shrinking",
    "blink": "blinking",
}

BRANDS = (
    "Arvika", "Belmond", "Casarto", "Domelli", "Estvik", "Fjordhem", "Galante", "Hollund", "Isendal", "Jarnby",
    "Kestrel", "Lunaro", "Mirevo", "Norvent", "Osterby",
)  # fmt: skip
MODELS = (
    "Aldo", "Bera", "Cato", "Dina", "Edda", "Falk", "Gino", "Hedda", "Ivo", "Jona", "Kaja", "Levi", "Mika", "Nilo",
    "Orla", "Pero", "Runa", "Silo", "Tove", "Una",
)  # fmt: skip
SIZES = ("S", "M", "L")
FILLER_SENTENCES = (
    "A quiet companion for every day.",
    "Designed to last and easy to care for.",
    "Ships in a recyclable box.",
    "Our customers come back for this one.",
    "Fits small rooms as well as large ones.",
    "Finished by hand in a family workshop.",
    "Two years of warranty are included.",
    "A favourite gift among friends.",
    "Made in small series.",
    "Simple to clean with a damp cloth.",
)
MATERIAL_SENTENCES = ("Made of {material}.", "The main part is {material}.", "Crafted from {material}.")

# Text of a query, from the words for its attributes and the kind of product.
QUERY_PATTERNS = ("{words} {kind}", "{kind} {words}", "{kind}, {words}")
# Texts of queries for items in a style, and for items in fashion.
STYLE_PATTERNS = ("{kind} for me", "a {kind} in my style", "{kind} that suits me")
FASHION_PATTERNS = ("trending {kind}", "{kind} in fashion now", "{kind} everyone wants")
# Phrase around the text, and the intent it expresses.
PHRASES: tuple[tuple[str, str | None], ...] = (
    ("{query}", None),
    ("a {query}", None),
    ("looking for a {query}", None),
    ("show me a {query}", None),
    ("buy {query} today", "buy"),
    ("compare {query} offers", "compare"),
    ("advice on a {query}", "consult"),
)

REVIEWS: dict[int, tuple[str, ...]] = {
    1: ("terrible quality, broke after a week", "awful, a waste of money", "very disappointed, sent it back"),
    2: ("poor finish, not what I hoped for", "rather weak, would not buy again"),
    3: ("it is okay, nothing special", "average, does what it should"),
    4: ("good product, happy with it", "nice and solid, recommended"),
    5: ("excellent, I love it", "perfect in every way, great value", "wonderful quality, highly recommended"),
}
HEADLINES = ("Home fairs report steady demand", "Shoppers look for durable goods", "Interior trends of the month")
