"""A C2PA manifest in a finished file: who says that it was made with AI, signed with a key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

import sonic_ops
from sonic_ops.core.config import ProvenanceConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.files import draft_of
from sonic_ops.core.scratch import scratch_folder

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""Media made by a trained model. Source: IPTC NewsCodes, digital source type."""

EDITED_SOURCE_TYPE = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
"""The same for media of which a trained model has made a part."""

SIGNED = "C2PA"
"""How the results call a mark that is signed."""

_REMEDY = (
    "Set provenance.key to a private key and provenance.certificate to its certificate chain, "
    "both in PEM, as C2PA requires; see configs/README.md, Provenance"
)
_SETTINGS = {"builder": {"thumbnail": {"enabled": False}}}
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and its chain of certificates: files in PEM, read whenever they sign."""

    key: Path
    certificate: Path

    def sign(self, path: Path, film: Path | None = None) -> None:
        """Put a signed manifest into a file: created, or edited from a film.

        Raises ConfigError if the key cannot sign.
        """
        c2pa = load_c2pa()
        try:
            with (
                draft_of(path) as draft,
                c2pa.Signer.from_info(self._info(c2pa)) as signer,
                c2pa.Builder(_manifest(film), c2pa.Context.from_dict(_SETTINGS)) as builder,
                path.open("rb") as source,
                draft.open("w+b") as target,
            ):
                if film is not None:
                    _add_film(c2pa, builder, film)
                builder.sign(signer, path.suffix.lower().removeprefix("."), source, target)
        except c2pa.C2paError as error:
            raise self._unfit(error) from error

    def check(self) -> None:
        """Sign an image of one pixel. Raises ConfigError if that fails."""
        with scratch_folder() as folder:
            image = folder / "image.gif"
            Image.new("P", (1, 1)).save(image)
            self.sign(image)

    def _info(self, c2pa: Any) -> Any:
        try:
            key, chain = self.key.read_bytes(), self.certificate.read_bytes()
            return c2pa.C2paSignerInfo(_algorithm(key), chain, key, None)
        except (OSError, ValueError, TypeError) as error:
            raise self._unfit(error) from error

    def _unfit(self, error: Exception) -> ConfigError:
        said = f"The key {self.key} cannot sign with {self.certificate}: {error}"
        return ConfigError(said, remedy=f"{_REMEDY}.")


def signer_of(config: ProvenanceConfig) -> Signer | None:
    """Return the signer of a configuration; None without a key."""
    if config.key is None or config.certificate is None:
        return None
    return Signer(Path(config.key), Path(config.certificate))


def is_signed(path: Path) -> bool:
    """Return whether a file has an intact C2PA manifest that says how it was made."""
    try:
        c2pa = load_c2pa()
    except ConfigError:
        return False
    try:
        with c2pa.Reader(path) as reader:
            state, manifest = reader.get_validation_state(), reader.json()
    except c2pa.C2paError:
        return False
    return state in {"Valid", "Trusted"} and any(
        kind in manifest for kind in (DIGITAL_SOURCE_TYPE, EDITED_SOURCE_TYPE)
    )


def load_c2pa() -> Any:
    """Import the optional library. Raises ConfigError."""
    try:
        import c2pa
    except ImportError as error:
        raise ConfigError(
            "To sign videos, the package c2pa-python is needed",
            remedy="Install sonic-render[c2pa], or remove provenance.key from the preset.",
        ) from error
    return c2pa


def _algorithm(key: bytes) -> str:
    """Return C2PA's name for the algorithm of a private key. Raises ValueError."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = load_pem_private_key(key, None)
    match private:
        case ec.EllipticCurvePrivateKey() if private.curve.name in _CURVES:
            return _CURVES[private.curve.name]
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
        case rsa.RSAPrivateKey():
            return "ps256"
    raise ValueError(f"C2PA knows no {type(private).__name__}")


def _add_film(c2pa: Any, builder: Any, film: Path) -> None:
    """Name the film that was edited, by the hash of its content."""
    builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
    with film.open("rb") as file:
        builder.add_ingredient({"title": "film", "relationship": "parentOf"}, "video/mp4", file)


def _manifest(film: Path | None = None) -> dict[str, Any]:
    maker = {"name": "sonic-render", "version": sonic_ops.__version__}
    created = {
        "action": "c2pa.created" if film is None else "c2pa.edited",
        "digitalSourceType": DIGITAL_SOURCE_TYPE if film is None else EDITED_SOURCE_TYPE,
        "softwareAgent": maker,
    }
    return {
        "claim_generator_info": [maker],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }
