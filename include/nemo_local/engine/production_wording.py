"""The production agent's words. The first wording of a topic is the one it gives at temperature 0."""

from __future__ import annotations

import random

from include.nemo_local.engine.production_matter import Say

WORDINGS: dict[str, tuple[str, ...]] = {
    "greeting": (
        "Hello! How can I help you with your order today?",
        "Hi there, what can I do for you?",
        "Welcome to Acme Shop support. What is it about?",
    ),
    "farewell": (
        "You're welcome! Have a nice day.",
        "Gladly. Get in touch any time.",
        "My pleasure. Enjoy your day!",
    ),
    "unknown": (
        "I can help with orders, deliveries, returns, refunds and products. What is it about?",
        "Could you tell me a little more about what you need?",
    ),
    "cannot": (
        "I am sorry, I cannot do that from here. Is there anything else I can help with?",
        "That is not something I can do here, I'm afraid. Can I help with anything else?",
    ),
    "hours": (
        "Our service desk is open Monday to Saturday, 8:00 to 20:00. Shipping costs €4.90, gift wrapping €3.",
        "We are here Monday to Saturday from 8:00 to 20:00. Shipping is €4.90, gift wrapping €3.",
    ),
    "ask_order": (
        "Could you give me your order number (it starts with SO-), or the e-mail address of the order?",
        "I'll gladly look into it. What is the order number, or the e-mail address you ordered with?",
        "Sure. Which order is it? The order number or your e-mail address will do.",
    ),
    "which_order": (
        "I see several orders: {orders}. Which order number is it about?",
        "There is more than one order on this address ({orders}). Which order number do you mean?",
    ),
    "order_unknown": (
        "I cannot find that order. Could you check the order number?",
        "There is no such order in our system. Would you check the order number, please?",
    ),
    "anything_else": (
        "That is settled. Is there anything else I can help with?",
        "All done. Anything else I can do for you?",
    ),
    "confirm": (
        "Just to be sure before I go on: shall I go ahead with that?",
        "Before I continue: is that what you would like me to do?",
    ),
    "ask_address": ("What is the full new address (street, postal code, city)?",),
    "ask_coupon": ("Which coupon code would you like to use?", "Could you tell me the coupon code?"),
    "ask_sku": ("Which product is it? The article number looks like AB-1234.",),
    "ask_product": ("What kind of product are you looking for?",),
    "ask_gift_card": ("What is the number of the gift card?",),
    "ask_account": (
        "What is your account number (AC-....)?",
        "Could you give me your account number, please?",
    ),
    "ask_lines": ("Which article and how many units would you like?",),
    "account_unknown": ("I cannot find that account. Could you check the account number?",),
    "handed_over": ("I have handed this over to a colleague, who will get back to you shortly.",),
    "where_processing": (
        "Order {order_id} is still being packed and leaves our warehouse soon.",
        "We are still packing order {order_id}; you will get a message as soon as it is on its way.",
    ),
    "where_in_transit": (
        "Order {order_id} is on its way with {carrier} and should be with you within two days.",
        "Your parcel {order_id} is with {carrier} and moving. Expect it within two days.",
    ),
    "where_delivered": (
        "{carrier} reports order {order_id} as delivered. Please check with your neighbours.",
        "According to {carrier}, order {order_id} was delivered. Perhaps a neighbour took it in.",
    ),
    "where_delayed": (
        "I am sorry, order {order_id} is delayed. I have put a 10 % goodwill coupon on your account.",
        "Order {order_id} is late, sorry about that. A 10 % coupon for the wait is on your account.",
    ),
    "return_exchange": (
        "The exchange of your {item} is registered; the label is on its way to your inbox.",
        "Done: send the {item} back with the label in your inbox, the new one leaves today.",
    ),
    "return_store_credit": (
        "The return of your {item} is registered. Once it is here, you will get store credit.",
        "Done: you will get the return label for the {item} by e-mail, and store credit for it.",
    ),
    "return_replacement": (
        "Sorry about that! A new {item} is on its way to you; the return label is in your inbox.",
        "I am sorry to hear that. We are sending you a replacement for the {item}.",
    ),
    "return_refund": (
        "Sorry about that! The {item} is sold out, so you will get your money back.",
        "I am sorry. There is no {item} left, so we refund it as soon as it is back.",
    ),
    "return_too_late": (
        "I am sorry, the return window of order {order_id} has closed.",
        "Order {order_id} can no longer be returned, I'm afraid: the 30 days are over.",
    ),
    "refunded": (
        "€{amount} are on their way back to your original payment method.",
        "Done. You will see €{amount} on your account in three to five days.",
    ),
    "address_changed": (
        "The address of order {order_id} is changed.",
        "Done: order {order_id} goes to the new address.",
    ),
    "address_too_late": (
        "Order {order_id} has left our warehouse, so the address can no longer be changed.",
        "I'm sorry, order {order_id} is already on its way; the address is fixed now.",
    ),
    "cancelled": ("Order {order_id} is cancelled.",),
    "cancel_too_late": ("Order {order_id} has left our warehouse and can no longer be cancelled.",),
    "coupon_applied": ("The coupon {code} is on your order.", "Done, {code} is applied."),
    "coupon_refused": (
        "I am sorry, the coupon {code} is not valid for this order.",
        "{code} cannot be used for this order, I'm afraid.",
    ),
    "stock_in_stock": ("Yes, {sku} is in stock.", "Good news: {sku} is available right now."),
    "stock_sold_out": (
        "{sku} is sold out at the moment.",
        "I'm sorry, there is no {sku} left right now.",
    ),
    "stock_unknown": ("I cannot find {sku}. Could you check the article number?",),
    "found_product": (
        "How about the {item} for €{price}?",
        "I would suggest our {item}, €{price}.",
    ),
    "nothing_found": ("I am sorry, I found no {query} that fits.",),
    "invoice_sent": ("The invoice of order {order_id} is in your inbox.",),
    "gift_card_balance": ("There are €{amount} left on your gift card.",),
    "quoted": ("The net price is €{total}.", "That would be €{total} net."),
    "placed": ("Your order {order_id} is placed.", "Done. The order number is {order_id}."),
    "desk_status": ("Order {order_id} is {status}.", "The status of {order_id} is: {status}."),
}


def wording(say: Say, rng: random.Random | None) -> str:
    """The sentence for a topic: the first without `rng`, else one of its wordings."""
    choices = WORDINGS[say.topic]
    chosen = rng.choice(choices) if rng else choices[0]
    return chosen.format_map({key: "it" if value is None else value for key, value in say.values.items()})
