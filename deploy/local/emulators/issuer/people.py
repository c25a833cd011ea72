"""The people who can sign in, of two organisations. All names and addresses are fictional."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """A person who can sign in."""

    id: str
    name: str
    email: str
    org_id: str
    org_name: str
    colour: str

    def claims(self, base_url: str) -> dict[str, str]:
        """Return the person's claims."""
        return {
            "sub": self.id,
            "name": self.name,
            "email": self.email,
            "picture": f"{base_url}/people/{self.id}.svg",
            "org_id": self.org_id,
            "org_name": self.org_name,
        }

    def picture(self) -> str:
        """Return a picture with the person's initials, as SVG."""
        initials = "".join(word[0] for word in self.name.split())
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
            f'<rect width="64" height="64" fill="{self.colour}"/>'
            '<text x="32" y="41" font-family="sans-serif" font-size="26" fill="#fff" '
            f'text-anchor="middle">{initials}</text></svg>'
        )


PEOPLE = {
    person.id: person
    for person in (
        Person("ada", "Ada Byron", "ada@acme.example", "acme", "Acme Inc.", "#3554d1"),
        Person("grace", "Grace Brewster", "grace@acme.example", "acme", "Acme Inc.", "#0f766e"),
        Person("otto", "Otto Krämer", "otto@globex.example", "globex", "Globex GmbH", "#b45309"),
    )
}
