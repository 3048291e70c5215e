"""What the fabric encrypts to us, opened in process: CMS EnvelopedData (spec WIRE 5.3, 5.9).

``pfx.py`` reads the PKCS#12 inside. Nothing here touches a file, and no error repeats what was
decrypted. Heavy imports: import this module only where certificates are handled.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, Union

from asn1crypto import cms
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from waagent.core.errors import CryptoError
from waagent.protocol.bundle import Bundle
from waagent.protocol.ciphers import ASN1_ERRORS, open_cbc
from waagent.protocol.pfx import open_pfx

MAX_BYTES = 8 * 1024 * 1024  # of real ones the largest is some tens of kilobytes
MAX_RECIPIENTS = 16  # each costs an RSA operation

_HASHES: dict[str, Any] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


def open_certificates(data: bytes, private_key: Union[bytes, rsa.RSAPrivateKey]) -> Bundle:
    """The certificates and keys in the DER behind the certificates document.

    The key is PEM, or the object of whoever has just made it.
    """
    return open_pfx(open_envelope(data, private_key))


def open_password(encoded: str, private_key_pem: bytes) -> str:
    """A remote user's password from base64 CMS: UTF-16, little endian unless a BOM says other."""
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise CryptoError("cannot open the password: it is not base64") from None
    plain = open_envelope(data, private_key_pem)
    has_mark = plain[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return plain.decode("utf-16" if has_mark else "utf-16-le")
    except UnicodeDecodeError:
        raise CryptoError("cannot open the password: what is inside is not UTF-16") from None


def open_envelope(data: bytes, private_key: Union[bytes, rsa.RSAPrivateKey]) -> bytes:
    """The content of a CMS EnvelopedData that is addressed to this RSA key."""
    if len(data) > MAX_BYTES:
        raise CryptoError(f"cannot open the envelope: {len(data)} bytes are over {MAX_BYTES}")
    key = _load_rsa_key(private_key) if isinstance(private_key, bytes) else private_key
    try:
        info = cms.ContentInfo.load(data)
        if info["content_type"].native != "enveloped_data":
            raise CryptoError("cannot open the envelope: it is not CMS EnvelopedData")
        envelope = info["content"]
        content = envelope["encrypted_content_info"]
        algorithm = content["content_encryption_algorithm"]
        # "contents" of a chunked string would be raw chunks; "native" joins them.
        sealed = content["encrypted_content"].native
        recipients = _ours_first(envelope["recipient_infos"], key)
    except ASN1_ERRORS:
        raise CryptoError("cannot open the envelope: it is not well-formed CMS") from None
    if not isinstance(sealed, bytes):
        raise CryptoError("cannot open the envelope: it has no content")
    return _open_content(recipients, key, algorithm, sealed)


def _open_content(
    recipients: list[Any], key: rsa.RSAPrivateKey, algorithm: Any, sealed: bytes
) -> bytes:
    reason = "no recipient can be opened with the transport key"
    for recipient in recipients:
        try:
            content_key = _unwrap(recipient, key)
            return open_cbc(algorithm, content_key, sealed)
        except CryptoError as error:
            reason = error.message
        except ASN1_ERRORS:
            reason = "a recipient of it is not well-formed"
    raise CryptoError(f"cannot open the envelope: {reason}")


def _load_rsa_key(pem: bytes) -> rsa.RSAPrivateKey:
    try:
        key = _load_unproved(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CryptoError("cannot read the private key: it is not unencrypted PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CryptoError("cannot use the private key: an RSA key is needed")
    return key


def _load_unproved(pem: bytes) -> Any:
    """Our own key: that its primes are primes need not be proved again, which takes its time."""
    try:
        return serialization.load_pem_private_key(
            pem, password=None, unsafe_skip_rsa_key_validation=True
        )
    except TypeError:  # cryptography before 39 proves them always
        return serialization.load_pem_private_key(pem, password=None)


def _ours_first(recipient_infos: Any, key: rsa.RSAPrivateKey) -> list[Any]:
    """Key-transport recipients; those that name our subject key id come first.

    A recipient named by issuer and serial, or by another way of making key ids, is tried too:
    the key alone does not tell what the certificate says.
    """
    if len(recipient_infos) > MAX_RECIPIENTS:
        raise CryptoError(
            f"cannot open the envelope: {len(recipient_infos)} recipients are over {MAX_RECIPIENTS}"
        )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.PKCS1
    )
    our_id = hashlib.sha1(public).digest()
    named: list[Any] = []
    others: list[Any] = []
    for recipient in recipient_infos:
        if recipient.name != "ktri":
            continue
        rid = recipient.chosen["rid"]
        is_ours = rid.name == "subject_key_identifier" and rid.chosen.native == our_id
        (named if is_ours else others).append(recipient.chosen)
    return named + others


def _unwrap(recipient: Any, key: rsa.RSAPrivateKey) -> bytes:
    algorithm = recipient["key_encryption_algorithm"]
    name = algorithm["algorithm"].native
    if name in ("rsaes_pkcs1v15", "rsa"):
        scheme: Any = padding.PKCS1v15()
    elif name == "rsaes_oaep":
        scheme = _oaep(algorithm["parameters"])
    else:
        raise CryptoError(f"key transport {name} is not known")
    try:
        return key.decrypt(recipient["encrypted_key"].native, scheme)
    except (ValueError, UnsupportedAlgorithm):
        raise CryptoError("it is not addressed to the transport key") from None


def _oaep(parameters: Any) -> padding.OAEP:
    """OAEP with the parameters of the message; absent ones mean SHA-1 (RFC 8017)."""
    digest = mask_digest = "sha1"
    label = None
    if parameters.native is not None:
        digest = parameters["hash_algorithm"]["algorithm"].native
        mask = parameters["mask_gen_algorithm"]
        mask_digest = mask["parameters"]["algorithm"].native
        source = parameters["p_source_algorithm"]
        label = source["parameters"].native or None
    if digest not in _HASHES or mask_digest not in _HASHES:
        raise CryptoError(f"OAEP with {digest} and {mask_digest} is not known")
    return padding.OAEP(
        mgf=padding.MGF1(algorithm=_HASHES[mask_digest]()),
        algorithm=_HASHES[digest](),
        label=label,
    )
