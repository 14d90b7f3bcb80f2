"""The surveys' acknowledgements, licences and citations, written from the release files."""

from resurvey import settings
from resurvey.errors import ResurveyError


def markdown(names: list[str]) -> str:
    """A Markdown page for the named releases (all when empty). Raises ResurveyError for a release that does not exist."""
    known = settings.available("releases")
    for name in names:
        if name not in known:
            raise ResurveyError(f"there is no release {name!r}; {settings.nearest(name, known)}")
    lines = ["# Acknowledgements", "", "Written by `resurvey acknowledgements` from `workflow/releases/*.yaml`.", ""]
    for name in names or known:
        release = settings.read_yaml(settings.WORKFLOW / "releases" / f"{name}.yaml")
        lines += [f"## {release['title']}", "", f"Licence: {release['licence']}.", ""]
        if release.get("acknowledgement"):
            lines += [release["acknowledgement"].strip(), ""]
        lines += ["Cite: " + ", ".join(f"{kind} {value}" for kind, value in release["citation"].items()) + ".", ""]
    return "\n".join(lines)
