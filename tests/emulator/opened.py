"""Opens what the fabric seals, with other means than those that sealed it."""

from __future__ import annotations

from asn1crypto import cms
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.fabric.certificates import StoredCertificate

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:  # before cryptography 43
    from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES


def open_envelope(sealed: bytes, recipient: StoredCertificate) -> bytes:
    """The content of an envelope for this recipient."""
    key = recipient.key
    if key is None:
        raise AssertionError("cannot open an envelope without the key")
    data = cms.ContentInfo.load(sealed)["content"]
    info = data["recipient_infos"][0].chosen
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if info["key_encryption_algorithm"]["algorithm"].native == "rsaes_oaep":
        digest = hashes.SHA1()  # noqa: S303  what OAEP means when it names no hash
        scheme = padding.OAEP(padding.MGF1(digest), digest, None)
    session_key = key.decrypt(info["encrypted_key"].native, scheme)
    content = data["encrypted_content_info"]
    algorithm = content["content_encryption_algorithm"]
    is_aes = algorithm["algorithm"].native == "aes128_cbc"
    cipher = Cipher(
        algorithms.AES(session_key) if is_aes else TripleDES(session_key),
        modes.CBC(algorithm["parameters"].native),
    )
    decryptor = cipher.decryptor()
    plain: bytes = decryptor.update(content["encrypted_content"].native) + decryptor.finalize()
    return plain[: -plain[-1]]


def recipient_kind(sealed: bytes) -> str:
    """How the recipient of an envelope is named."""
    info = cms.ContentInfo.load(sealed)["content"]["recipient_infos"][0].chosen
    return str(info["rid"].name)


def transport_of(sealed: bytes) -> str:
    """How the session key of an envelope is encrypted."""
    info = cms.ContentInfo.load(sealed)["content"]["recipient_infos"][0].chosen
    return str(info["key_encryption_algorithm"]["algorithm"].native)


def certificates_of(pfx: bytes) -> set[bytes]:
    """Every certificate of a PFX with an empty password, as DER."""
    _, certificate, others = pkcs12.load_key_and_certificates(pfx, b"")
    der = serialization.Encoding.DER
    return {one.public_bytes(der) for one in (certificate, *others) if one is not None}


def key_of(pfx: bytes) -> rsa.RSAPrivateKey:
    """The first private key of a PFX with an empty password."""
    key = pkcs12.load_key_and_certificates(pfx, b"")[0]
    if not isinstance(key, rsa.RSAPrivateKey):
        raise AssertionError("the PFX holds no RSA key")
    return key
