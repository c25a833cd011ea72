"""The card of a connector, with its actions."""

from emulators.apideck.catalogue import service_name, symbol
from emulators.apideck.markup import NOTHING, Markup, fill, joined, render
from emulators.apideck.visit import Visit

_BUTTON = (
    '<button name="action" value="$action" class="$kind" aria-label="$label $name"$confirm>'
    "$label</button>"
)
_CONFIRM = ' data-title="$label $name?" data-text="$text" data-confirm="$label"'
_LABELS = {"fail": "Simulate an error"}
_KINDS = {"connect": "primary", "fail": "plain", "disconnect": "danger", "delete": "danger"}
_WARNINGS = {
    "disconnect": "The application can no longer use this connection until you connect it again.",
    "delete": "This removes the connection and its settings. You cannot undo it.",
}
_LINK = '<a href="$url">$name</a>'


def card(visit: Visit, api: str, service: str, *, heading: str = "h3") -> Markup:
    """Return the card of a connector."""
    connected = visit.consumer.connected(api, service)
    enabled = connected is not None and connected.enabled
    state = "Connected" if enabled else "Disabled" if connected else "Not connected"
    name = service_name(api, service)
    return render(
        "card.html",
        symbol=symbol(api, service),
        name=fill(_LINK, url=visit.connector_url(api, service), name=name)
        if visit.page != "embedded"
        else name,
        heading=heading,
        state=state,
        kind="on" if enabled else "off",
        token=visit.token,
        api=api,
        service=service,
        page=visit.page,
        buttons=joined([_button(action, name) for action in _actions(visit, state)]),
    )


def _actions(visit: Visit, state: str) -> list[str]:
    if state == "Not connected":
        return ["connect", "fail"] if visit.back else ["connect"]
    if state == "Connected":
        return visit.actions
    return ["enable" if action == "disable" else action for action in visit.actions]


def _button(action: str, name: str) -> Markup:
    label = _LABELS.get(action, action.capitalize())
    text = _WARNINGS.get(action)
    confirm = fill(_CONFIRM, label=label, name=name, text=text) if text else NOTHING
    kind = _KINDS.get(action, "quiet")
    return fill(_BUTTON, action=action, label=label, name=name, kind=kind, confirm=confirm)
