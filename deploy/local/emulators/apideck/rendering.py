"""The content of the Vault's pages."""

from emulators.apideck.cards import card
from emulators.apideck.catalogue import CATALOGUE, api_title, service_name
from emulators.apideck.markup import (
    NOTHING,
    Markup,
    colour,
    fill,
    ink_on,
    joined,
    origin,
    render,
    web_url,
)
from emulators.apideck.visit import Visit

_SANDBOX = Markup('<p class="sandbox">Sandbox: for tests only</p>')
_GROUP = "<section><h2>$title</h2><ul>$cards</ul></section>"
_NO_CONNECTORS = Markup("<li>This emulator has no connectors for this unified API.</li>")
_LOGS = '<section id="logs"><h2>Logs</h2><ol class="logs">$events</ol></section>'
_NO_EVENTS = Markup("<li>No events yet.</li>")
_LOGS_LINK = Markup('<a href="#logs">Logs</a>')
_SUGGESTIONS = '<p class="note"><strong>Suggested for you:</strong> $names</p>'
_BACK = '<a class="back" href="$url">&larr; Back to $host</a>'
_IMAGE = '<img class="$kind" src="$url" alt="">'
_CRUMBS = '<nav class="crumbs" aria-label="Breadcrumb">$home / $name</nav>'
_LINK = '<a href="$url">$label</a>'


def page(visit: Visit, content: Markup, nonce: str) -> Markup:
    """Return a complete page."""
    theme = visit.part("theme")
    primary = colour(theme.get("primary_color"), "#4f46e5")
    sidebar = visit.setting("show_sidebar") and not visit.isolated
    return render(
        "page.html",
        nonce=nonce,
        kind=visit.page,
        vault_name=_vault_name(visit),
        favicon=web_url(theme.get("favicon")) or "/assets/icon.svg",
        primary=primary,
        primary_ink=ink_on(primary),
        side=colour(theme.get("sidepanel_background_color"), "#111827"),
        side_ink=colour(theme.get("sidepanel_text_color"), "#f9fafb"),
        sandbox=_SANDBOX if visit.setting("sandbox_mode") else NOTHING,
        sidebar=_sidebar(visit) if sidebar else NOTHING,
        back=_back(visit.back) if visit.back else NOTHING,
        seconds=visit.seconds_left,
        left=_duration(visit.seconds_left),
        content=content,
        footer=_footer(visit),
    )


def home(visit: Visit) -> Markup:
    """Return the content of the first page: connectors by unified API."""
    apis = visit.unified_apis or list(CATALOGUE)
    suggestions = _suggestions(visit, apis) if visit.setting("show_suggestions") else NOTHING
    groups = joined([_group(visit, api) for api in apis])
    return joined([Markup("<h1>Integrations</h1>"), suggestions, groups, _logs(visit)])


def connector(visit: Visit, api: str, service: str) -> Markup:
    """Return the content of a connector's page."""
    connected = visit.consumer.connected(api, service) is not None
    guide = not connected and not visit.setting("hide_guides")
    resources = connected and not visit.setting("hide_resource_settings")
    name = service_name(api, service)
    home_link = fill(_LINK, url=visit.home_url, label="All integrations")
    return joined(
        [
            NOTHING if visit.isolated else fill(_CRUMBS, home=home_link, name=name),
            fill("<h1>$name</h1><p>$api</p>", name=name, api=api_title(api)),
            fill("<ul>$card</ul>", card=card(visit, api, service, heading="h2")),
            render("guide.html", name=name) if guide else NOTHING,
            render("resources.html", name=name) if resources else NOTHING,
            _logs(visit, service),
        ]
    )


def _group(visit: Visit, api: str) -> Markup:
    cards = joined([card(visit, api, service) for service in CATALOGUE.get(api, ())])
    return fill(_GROUP, title=api_title(api), cards=cards or _NO_CONNECTORS)


def _suggestions(visit: Visit, apis: list[str]) -> Markup:
    offered = [(api, service) for api in apis for service in CATALOGUE.get(api, ())]
    new = [one for one in offered if visit.consumer.connected(*one) is None][:3]
    names = ", ".join(service_name(*one) for one in new)
    return fill(_SUGGESTIONS, names=names) if new else NOTHING


def _logs(visit: Visit, of: str | None = None) -> Markup:
    """Return the latest events, of one connector or of all connectors."""
    if not visit.setting("show_logs") or visit.page == "embedded":
        return NOTHING
    latest = [event for service, event in visit.consumer.events if of in {None, service}]
    events = joined([fill("<li>$event</li>", event=event) for event in latest[:-11:-1]])
    return fill(_LOGS, events=events or _NO_EVENTS)


def _sidebar(visit: Visit) -> Markup:
    metadata = visit.part("consumer_metadata")
    return render(
        "sidebar.html",
        logo=_image(visit.part("theme").get("logo"), "logo"),
        vault_name=_vault_name(visit),
        image=_image(metadata.get("image"), "face"),
        user_name=metadata.get("user_name") or visit.claims["consumer_id"],
        account_name=metadata.get("account_name", ""),
        email=metadata.get("email", ""),
        consumer_id=visit.claims["consumer_id"],
        home=visit.home_url,
        logs=_LOGS_LINK if visit.setting("show_logs") else NOTHING,
    )


def _footer(visit: Visit) -> Markup:
    theme = visit.part("theme")
    urls = {"Privacy": theme.get("privacy_url"), "Terms": theme.get("terms_url")}
    links = [
        fill(_LINK, url=web_url(url), label=label) for label, url in urls.items() if web_url(url)
    ]
    return joined(links)


def _vault_name(visit: Visit) -> str:
    return str(visit.part("theme").get("vault_name") or "Integrations")


def _back(url: str) -> Markup:
    return fill(_BACK, url=url, host=origin(url).partition("://")[2])


def _image(url: object, kind: str) -> Markup:
    return fill(_IMAGE, url=web_url(url), kind=kind) if web_url(url) else NOTHING


def _duration(seconds: int) -> str:
    days, hours, minutes = seconds // 86400, seconds // 3600, seconds // 60
    if days > 1:
        return f"{days} days"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
