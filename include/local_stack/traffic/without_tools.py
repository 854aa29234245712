"""Two more workloads of the shop, whose model answers without tools: one routes tickets, one chats."""

from __future__ import annotations

from include.local_stack.traffic.workloads import SUPPORT_AGENT, Workload

_ROUTING_PROMPT = """\
You route the tickets of Acme Shop. Answer with the label of the ticket and nothing else. It is one of the \
labels: delivery, return, damage, refund, coupon, stock, person, legal, fraud, other.
"""

_CHAT_PROMPT = """\
You are the first line of Acme Shop's chat. You have no access to orders. Find out what the customer wants, \
ask for what a colleague will need, and say kindly what cannot be done here. The service desk is open Monday \
to Saturday.
"""

TICKET_ROUTING = Workload(
    workload_id="ticket_routing",
    description="Routing of support tickets to teams: one label each",
    system_prompt=_ROUTING_PROMPT,
    tools=(),
    intents=SUPPORT_AGENT.intents,
    rare={},
    conversations=420,
    turns=1,
)

HELP_CHAT = Workload(
    workload_id="help_chat",
    description="First line of the shop's chat: answers in text, without tools",
    system_prompt=_CHAT_PROMPT,
    tools=(),
    intents=SUPPORT_AGENT.intents,
    rare={},
    conversations=260,
)

WITHOUT_TOOLS = {workload.workload_id: workload for workload in (TICKET_ROUTING, HELP_CHAT)}
