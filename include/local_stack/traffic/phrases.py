"""What the simulated users say. Braces name what a request is about; see `Errand` in users.py."""

from __future__ import annotations

OPENERS = ("", "", "Hi, ", "Hello, ", "Hey there, ", "Good morning, ", "Hi team, ", "Guten Tag, ")
CLOSERS = ("", "", "", " Thanks in advance!", " Please help.", " Thank you 🙏", " Best regards", " Grüße!")
# People tell stories: nothing in them says what they want.
RAMBLES = (
    " It was meant as a birthday present for my sister and the party is this weekend.",
    " I have been a customer for more than ten years and never had to write before.",
    " My neighbour told me that it took her only a few minutes last month.",
    " We are going on holiday next week and the car is half packed already.",
    " Sorry for the mess, I am writing on my phone in the train.",
)
ALSO = ("One more thing: ", "Also, ", "And another question: ", "While you are at it: ")

REQUESTS: dict[str, tuple[str, ...]] = {
    "where": (
        "where is my parcel?",
        "my order hasn't arrived yet.",
        "when will my package come?",
        "I am still waiting for my {item}, has it shipped?",
        "the {item} should have been delivered days ago.",
        "could you check the status of my delivery?",
        "is my {item} on its way?",
        "the tracking page shows nothing, where is my {item}?",
    ),
    "where_two": (
        "where are my orders {order} and {other_order}?",
        "neither {order} nor {other_order} has arrived, can you check both?",
    ),
    "return_fit": (
        "the {item} is too small, I want to return it.",
        "the {item} is too big for me, can I send it back?",
        "I need to return the {item}, it doesn't fit.",
        "the {item} I bought is too tight.",
        "this {item} is too large, I would like to return it.",
    ),
    "return_fit_sized": (
        "the {item} is too small, I need it in size {size}.",
        "the {item} doesn't fit. I would like size {size} instead.",
        "the {item} is too large, could I have size {size}?",
    ),
    "return_mind": (
        "I changed my mind about the {item} and would like to return it.",
        "I want to send the {item} back, I simply don't like it.",
        "can I return the {item}? I found a nicer one.",
        "I'd like to return the {item}, I don't need it after all.",
    ),
    "damaged_broken": (
        "the {item} arrived broken.",
        "my {item} is damaged.",
        "the {item} is defective, what can you do?",
        "the {item} was broken when I opened the box.",
    ),
    "damaged_wrong": (
        "you sent me the wrong item instead of the {item}.",
        "I got the wrong product, I ordered the {item}.",
        "what came is not what I ordered: it should be the {item}.",
        "the {item} came in the wrong colour.",
    ),
    "refund": (
        "I was charged twice, please pay it back.",
        "I would like a refund.",
        "when do I get my money back?",
        "please refund my {item}.",
        "there is a double charge on my card.",
    ),
    "address": (
        "I have moved, please deliver it to {street}, {postal_code} {city}.",
        "please change the delivery address to {street}, {postal_code} {city}.",
        "the shipping address is wrong, the new address is {street}, {postal_code} {city}.",
    ),
    "address_open": (
        "I have moved, can you change the delivery address?",
        "I need another shipping address.",
    ),
    "coupon": (
        "please apply the coupon {code}.",
        "I forgot to use my voucher {code}, can you add it?",
        "my promo code {code} was not accepted.",
        "can I still use the discount code {code}?",
    ),
    "stock": (
        "is {sku} in stock?",
        "is the article {sku} available?",
        "is {sku} sold out?",
        "can you check the availability of {sku}?",
    ),
    "stock_sized": ("is {sku} available in size {size}?", "do you have {sku} in stock in size {size}?"),
    "search": (
        "I am looking for a {product}.",
        "can you recommend a {product}?",
        "I am searching for a {product}, any ideas?",
        "please suggest a {product}.",
    ),
    "search_priced": (
        "I am looking for a {product} under {price} euros.",
        "can you recommend a {product} below {price} euros?",
        "please suggest a {product} up to {price} euros.",
    ),
    "human": (
        "I want to talk to a human.",
        "can I speak to a real person, please?",
        "get me your manager.",
        "let me talk to a supervisor.",
    ),
    "legal": (
        "you will hear from my lawyer.",
        "I am going to take legal action.",
        "I will report this to consumer protection.",
    ),
    "fraud": (
        "my account was hacked!",
        "somebody ordered with my card, this is fraud.",
        "there is an order that I did not place.",
    ),
    "hours": (
        "what are your opening hours?",
        "how much is gift wrapping?",
        "what is the shipping cost?",
        "are you open on Saturday?",
    ),
    "invoice": ("please send me the invoice.", "I need an invoice for my taxes."),
    "gift_card": ("how much is left on my gift card {card}?", "what is the balance of gift card {card}?"),
    "cancel": ("please cancel my order.", "I want to cancel, can you stop it?"),
    "place": (
        "we need {quantity} units of {sku}.",
        "please order {quantity} pcs of {sku} for us.",
        "please put through {quantity} x {sku}.",
        "book {quantity} units of {sku}, please.",
        "could you send us {quantity} pieces of {sku}?",
    ),
    "quote": (
        "what is the price of {quantity} units of {sku}?",
        "please quote {quantity} pcs of {sku}.",
        "how much are {quantity} x {sku}?",
        "could you make us an offer for {quantity} pieces of {sku}?",
    ),
    "delivery": (
        "where is our order {order}?",
        "what is the status of {order}?",
        "has {order} been shipped?",
        "when will {order} be delivered?",
    ),
}

BY_ORDER = (
    " The order number is {order}.",
    " It is order {order}.",
    " Order no. {order}.",
    " My order number: {order}.",
    " ({order})",
)
BY_EMAIL = (" I ordered with {email}.", " My e-mail address is {email}.", " Account: {email}.")
BY_ACCOUNT = (
    " Our account number is {account}.",
    " Account {account}.",
    " ({account})",
    " We are {account}.",
)

GIVE_ORDER = ("It's {order}.", "Sure, {order}.", "The number is {order}.", "{order}.", "Here it is: {order}.")
GIVE_EMAIL = ("I don't have it at hand, my e-mail is {email}.", "{email}", "The mail is {email}")
GIVE_ACCOUNT = ("{account}", "It's {account}.", "Sure: {account}")
GIVE_ADDRESS = ("It is {street}, {postal_code} {city}.", "To {street}, {postal_code} {city}, please.")
GO_AHEAD = ("Yes, go ahead.", "Yes please.", "Exactly.", "Yes, do that.")
AS_I_SAID = (" As I said, ", " Like I wrote, ", " Again: ")
THANKS = ("Thanks!", "Thank you, that's all.", "Great, thank you 😊", "Perfect, bye.", "Cheers!")
GREETINGS = ("Hi there", "Hello!", "Good morning", "Hey, anybody there?")
