"""The card of a connector, with its actions."""

from emulators.apideck.catalogue import service_name
from emulators.apideck.markup import Markup, fill, joined, render
from emulators.apideck.visit import Visit

_BUTTON = (
    '<button name="action" value="$action" class="$kind" aria-label="$label $name">$label</button>'
)
_LABELS = {"fail": "Simulate an error"}


def card(visit: Visit, api: str, service: str, *, heading: str = "h3") -> Markup:
    """Return the card of a connector."""
    connected = visit.consumer.connected(api, service)
    enabled = connected is not None and connected.enabled
    state = "Connected" if enabled else "Disabled" if connected else "Not connected"
    name = service_name(api, service)
    return render(
        "card.html",
        initial=name[:1].upper(),
        name=name,
        heading=heading,
        state=state,
        kind="on" if enabled else "off",
        link=visit.connector_url(api, service),
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
    kind = {"connect": "primary", "fail": "plain"}.get(action, "quiet")
    label = _LABELS.get(action, action.capitalize())
    return fill(_BUTTON, action=action, label=label, name=name, kind=kind)
