"""The simulated shop: its customers, products and orders, all drawn from one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

CARRIERS = ("DHL", "UPS", "DPD")
WAREHOUSES = ("EU1", "EU2", "EU3")
SIZES = ("XS", "S", "M", "L", "XL", "XXL")
PRICE_TIERS = ("T1", "T2", "T3")

_FIRST_NAMES = (
    "Ana", "Björn", "Chloé", "Dmitri", "Elif", "Femke", "Grzegorz", "Hana", "Íñigo", "Jürgen", "Katarína",
    "Łukasz", "Maren", "Noor", "Øyvind", "Priya", "Quentin", "Renée", "Søren", "Tomáš", "Ulla", "Yuki", "Zoë",
)  # fmt: skip
_LAST_NAMES = (
    "Almeida", "Bauer", "Čapek", "Dubois", "Eriksson", "Fischer", "Gómez", "Hoffmann", "Ivanova", "Jansen",
    "Kowalski", "Lefèvre", "Müller", "Novák", "Özdemir", "Petrov", "Rossi", "Schäfer", "Tanaka", "Vermeulen",
)  # fmt: skip
_PRODUCTS = (
    ("rain jacket", "clothing", 89.0),
    ("wool jumper", "clothing", 64.5),
    ("linen shirt", "clothing", 39.9),
    ("summer dress", "clothing", 54.0),
    ("hiking trousers", "clothing", 72.0),
    ("hiking boots", "outdoor", 139.0),
    ("trail backpack", "outdoor", 99.0),
    ("dome tent", "outdoor", 219.0),
    ("sleeping bag", "outdoor", 119.0),
    ("steel bottle", "outdoor", 24.9),
    ("wireless headphones", "electronics", 129.0),
    ("bluetooth speaker", "electronics", 79.0),
    ("solar charger", "electronics", 59.0),
    ("desk lamp", "home", 45.0),
    ("coffee grinder", "home", 69.0),
    ("ceramic teapot", "home", 34.0),
)
_STREETS = (
    "Lindenstraße",
    "Am Markt",
    "Goethestraße",
    "Rue Pasteur",
    "Kirchweg",
    "Schönhauser Allee",
    "Hauptstraße",
)
_CITIES = (
    ("10115", "Berlin"),
    ("80331", "München"),
    ("50667", "Köln"),
    ("20095", "Hamburg"),
    ("04109", "Leipzig"),
)
_STATES = (*["in_transit"] * 4, *["delivered"] * 2, *["delayed"] * 3, "lost")
_MANAGER_ABOVE_EUR = 150.0


@dataclass(frozen=True)
class Product:
    """An article. Prices are in EUR, gross for consumers and net for trade."""

    sku: str
    name: str
    category: str
    price: float
    in_stock: bool

    @property
    def sized(self) -> bool:
        """Whether it comes in sizes."""
        return self.category == "clothing" or self.name.endswith("boots")


@dataclass(frozen=True)
class Customer:
    """A consumer."""

    name: str
    email: str


@dataclass(frozen=True)
class Order:
    """An order; `tracking_number` is empty while it is processed, `state` is the carrier's word."""

    order_id: str
    customer: Customer
    items: tuple[Product, ...]
    status: str
    carrier: str
    tracking_number: str
    state: str
    days_since_delivery: int

    @property
    def total(self) -> float:
        """The sum in EUR."""
        return round(sum(item.price for item in self.items), 2)

    @property
    def needs_manager(self) -> bool:
        """Whether a refund needs a manager's approval."""
        return self.total > _MANAGER_ABOVE_EUR


@dataclass(frozen=True)
class Account:
    """A trade customer."""

    account_no: str
    company: str
    price_tier: str
    credit: str


@dataclass(frozen=True)
class Shop:
    """Everything that the tools can look up; keys are e-mail, order id, SKU and account number."""

    products: dict[str, Product]
    customers: dict[str, Customer]
    orders: dict[str, Order]
    accounts: dict[str, Account]

    def orders_of(self, email: str) -> list[Order]:
        """The customer's orders, oldest first."""
        return [order for order in self.orders.values() if order.customer.email == email.lower()]


def build_shop(seed: int, *, customers: int = 220, accounts: int = 40) -> Shop:
    """A shop of the given size; the same seed gives the same shop."""
    rng = random.Random(f"shop/{seed}")
    products = _products(rng)
    people = _customers(rng, customers)
    orders: dict[str, Order] = {}
    for customer in people.values():
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            order = _order(rng, customer, list(products.values()), taken=orders)
            orders[order.order_id] = order
    return Shop(products, people, orders, _accounts(rng, accounts))


def _products(rng: random.Random) -> dict[str, Product]:
    numbers = rng.sample(range(1000, 9999), len(_PRODUCTS))
    found = {}
    for number, (name, category, price) in zip(numbers, _PRODUCTS, strict=True):
        sku = f"{category[:2].upper()}-{number}"
        found[sku] = Product(sku, name, category, price, in_stock=rng.random() < 0.65)
    return found


def _customers(rng: random.Random, count: int) -> dict[str, Customer]:
    found: dict[str, Customer] = {}
    for number in range(count):
        first, last = rng.choice(_FIRST_NAMES), rng.choice(_LAST_NAMES)
        mailbox = _ascii(f"{first}.{last}{number}".lower())
        customer = Customer(f"{first} {last}", f"{mailbox}@{rng.choice(('mail', 'post', 'inbox'))}.example")
        found[customer.email] = customer
    return found


def _ascii(text: str) -> str:
    folded = text.translate(str.maketrans("äöüčéèëžłøñíšá", "aoucee" + "ezloni" + "sa"))
    return folded.encode("ascii", "ignore").decode()


def _order(rng: random.Random, customer: Customer, products: list[Product], taken: dict[str, Order]) -> Order:
    order_id = f"SO-{rng.randrange(10000, 99999)}"
    while order_id in taken:
        order_id = f"SO-{rng.randrange(10000, 99999)}"
    items = tuple(rng.sample(products, 2 if rng.random() < 0.06 else 1))
    processing = rng.random() < 0.25
    state = rng.choice(_STATES)
    return Order(
        order_id=order_id,
        customer=customer,
        items=items,
        status="processing" if processing else "shipped",
        carrier=rng.choice(CARRIERS),
        tracking_number="" if processing else f"{rng.randrange(10**9, 10**10)}",
        state=state,
        days_since_delivery=rng.choice((3, 6, 9, 14, 21, 45)),
    )


def _accounts(rng: random.Random, count: int) -> dict[str, Account]:
    found = {}
    for number in rng.sample(range(1000, 9999), count):
        company = f"{rng.choice(_LAST_NAMES)} {rng.choice(('GmbH', 'AG', 'Handels-KG', 'Sp. z o.o.'))}"
        credit = "blocked" if rng.random() < 0.15 else "clear"
        account = Account(f"AC-{number}", company, rng.choice(PRICE_TIERS), credit)
        found[account.account_no] = account
    return found


def street_address(rng: random.Random) -> dict[str, str]:
    """An address as a customer would give it: street, postal_code, city."""
    postal_code, city = rng.choice(_CITIES)
    street = f"{rng.choice(_STREETS)} {rng.randrange(1, 120)}"
    return {"street": street, "postal_code": postal_code, "city": city}
