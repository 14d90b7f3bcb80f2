"""What no schema can say: whether models, datasets, releases and the archive of a run go together."""

from resurvey.errors import ResurveyError
from resurvey.settings.models import predicts_labels
from resurvey.settings.reading import WORKFLOW, available, nearest, read_yaml

LEARNED = ("classes", "contamination", "per_class")  # of a model: under which class its networks learn which spectra
PIXELS = ("grid", "resample", "masks", "continuum", "mask_bits")  # of a dataset: what a network sees of a spectrum


def check_archive(archive: dict, releases: dict, where: str) -> None:
    """Stop before jobs that ask an archive for what it cannot have: the mock survey is one release of a survey's own
    files, and a root that one release calls its home does not hold another's."""
    homes = {read_yaml(WORKFLOW / "releases" / f"{name}.yaml")["root"] for name in available("releases")}
    for name, release in releases.items():
        if release.get("mock_only") and archive["origin"] != "mock":
            raise ResurveyError(
                f"{where}: archive: no archive holds the release {name} yet, it exists as a mock only; set archive to mock"
            )
        strange = archive["root"] in homes and archive["root"] != release["root"]
        if strange or (archive["kind"] == "mock" and "arrays" in release):
            here = "the mock survey" if archive["kind"] == "mock" else archive["root"]
            raise ResurveyError(
                f"{where}: archive: {here} does not hold the release {name}; set archive to {release['root']} or a mirror of it"
            )


def check_applied(apply: list[tuple[str, str]], models: dict, datasets: dict, where: str) -> None:
    """Stop where a model would be applied to spectra that look otherwise than those that it is trained on. Raises ResurveyError."""
    for model, name in apply:
        home = models[model]["dataset"]
        for key in PIXELS:
            trained, applied = datasets[home].get(key), datasets[name].get(key)
            if trained != applied:
                raise ResurveyError(
                    f"{where}: model {model} is trained on {key} {trained} but dataset {name} has {applied}; "
                    f"set datasets.{name}.{key} to that of {home}"
                )


def assessments(wanted: dict, models: dict, where: str) -> dict:
    """What `assess` asks for, complete: `models` are those that are named, or all that give classes. Raises ResurveyError."""
    possible = [name for name, model in models.items() if not predicts_labels(model)]
    if wanted and not possible:
        raise ResurveyError(
            f"{where}: assess: no model of this run gives classes; add a paper whose models do, such as gasnet2, to papers"
        )
    whole = {}
    for name, entry in wanted.items():
        for model in entry.get("models") or []:
            if model not in possible:
                raise ResurveyError(
                    f"{where}: assess.{name}.models: {model!r} is no model of this run that gives classes; {nearest(model, possible)}"
                )
        whole[name] = {"labels": None, "templates": None, **entry, "models": entry.get("models") or possible}
    return whole


def _own_classes(model: dict, labels: list[str], where: str) -> list[str]:
    """Those classes of a model with `classes` that may have redshift networks: the ones that are one of the dataset's."""
    given: list[str] = []
    for name, members in model["classes"].items():
        for label in members:
            if label not in labels:
                raise ResurveyError(f"{where}: classes.{name}: there is no class {label!r}; {nearest(label, labels)}")
            if label in given:
                raise ResurveyError(f"{where}: classes.{name}: {label} is in another class too; name it once")
            given.append(label)
    return [name for name, members in model["classes"].items() if members == [name]]


def _seen(model: dict) -> dict:
    """What decides what the networks of a model see of a spectrum, by the key of its settings."""
    architecture = model["architecture"]
    return {
        "dataset": model["dataset"],
        "architecture.normalisation": architecture["normalisation"],
        "architecture.channels": architecture.get("channels", ["flux"]),
    }


def _check_shares(name: str, model: dict, models: dict) -> None:
    """A network that a model shares is trained by the other one, on the same spectra, seen in the same way."""
    where = f"model {name}"
    for network, other in model.get("shares", {}).items():
        if other not in models:
            raise ResurveyError(
                f"{where}: shares {network} with {other}, which is no model of this run; name {other} in only_models.{model['paper']} too"
            )
        if network not in models[other]["networks"]:
            raise ResurveyError(
                f"{where}: shares {network} with {other}, which does not train it; name it in models.{other}.only"
            )
        mine, its = _seen(model), _seen(models[other])
        for key in mine:
            if mine[key] != its[key]:
                raise ResurveyError(
                    f"{where}: shares {network} with {other}, whose {key} is {its[key]} and not {mine[key]}; "
                    f"set models.{name}.{key} to the same"
                )
        if any(model.get(key) != models[other].get(key) for key in LEARNED):
            raise ResurveyError(
                f"{where}: shares {network} with {other}, which has other classes or labels; set {', '.join(LEARNED)} to the same"
            )


def check_model(name: str, model: dict, dataset: dict, models: dict) -> None:
    """Whether a model can be trained on its dataset and share networks with others. Raises ResurveyError."""
    where = f"model {name}"
    if predicts_labels(model):
        if not dataset.get("labels") or not dataset["split"]:
            raise ResurveyError(
                f"{where}: dataset {dataset['name']} has no labels or no split; networks cannot be trained on it"
            )
        return
    if not dataset.get("classes") or not dataset["split"]:
        raise ResurveyError(
            f"{where}: dataset {dataset['name']} has no classes or no split; networks cannot be trained on it"
        )
    labels = [entry["label"] for entry in dataset["classes"]]
    if model.get("classes"):
        labels = _own_classes(model, labels, where)
    if not any(entry["role"] == "classifier" for entry in model["networks"].values()):
        raise ResurveyError(f"{where}: none of its networks is a classifier; give one the role classifier")
    for network, entry in model["networks"].items():
        if entry["role"] != "classifier" and entry.get("class") not in labels:
            raise ResurveyError(
                f"{where}: network {network} is for class {entry.get('class')!r}; {nearest(str(entry.get('class')), labels)}"
            )
    for network, entry in model["networks"].items():
        low, high = entry["training"]["z_range"]
        if not low < high:
            raise ResurveyError(
                f"{where}: network {network}: training.z_range {[low, high]} is empty; give [lowest, highest]"
            )
    _check_shares(name, model, models)
    length = dataset["grid"]["pixels"]
    shape = model["architecture"]
    for _ in shape["widths"]:
        length = (
            (length - shape["kernel"]) // shape["stride"] + 1
            if shape["padding"] == "valid"
            else -(-length // shape["stride"])
        )
        if length < 1:
            raise ResurveyError(
                f"{where}: {dataset['grid']['pixels']} pixels are too few for {len(shape['widths'])} blocks with padding valid; "
                f"set models.{name}.architecture.padding to same, or fewer widths"
            )
