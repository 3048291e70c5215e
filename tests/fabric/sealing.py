"""Protected settings and passwords, sealed for whom they are meant."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any, Optional

from cryptography import x509

from tests.fabric.certificates import DES, PKCS1, StoredCertificate, envelope
from tests.fabric.model import Settings


class Sealer:
    """Seals settings for the tenant's certificate, the same text each time it is asked."""

    def __init__(self, certificates: tuple[StoredCertificate, ...]) -> None:
        self._lock = threading.Lock()
        self._sealed: dict[str, str] = {}
        self._certificates = certificates

    @property
    def certificates(self) -> tuple[StoredCertificate, ...]:
        """What the machine is given; the first one with a key is the tenant's."""
        return self._certificates

    @certificates.setter
    def certificates(self, value: tuple[StoredCertificate, ...]) -> None:
        with self._lock:
            self._certificates = value
            self._sealed.clear()

    @property
    def tenant(self) -> Optional[StoredCertificate]:
        """The certificate for which protected settings are sealed."""
        return next((c for c in self._certificates if c.key is not None), None)

    def handler_settings(self, item: Settings) -> dict[str, Any]:
        """One `handlerSettings` object as the fabric delivers it."""
        found: dict[str, Any] = {}
        if item.protected is not None and self.tenant is not None:
            found["protectedSettingsCertThumbprint"] = self.tenant.thumbprint
            found["protectedSettings"] = self._seal(json.dumps(item.protected))
        if item.public is not None:
            found["publicSettings"] = item.public
        return found

    def runtime_settings(self, item: Settings) -> dict[str, Any]:
        """The whole text of a settings element."""
        return {"runtimeSettings": [{"handlerSettings": self.handler_settings(item)}]}

    def _seal(self, text: str) -> str:
        tenant = self.tenant
        if tenant is None:
            raise ValueError("cannot seal settings without a tenant certificate")
        with self._lock:
            if text not in self._sealed:
                sealed = envelope(text.encode(), tenant.certificate, DES, by_key_id=False)
                self._sealed[text] = base64.b64encode(sealed).decode()
            return self._sealed[text]


def seal_password(
    password: str, recipient: x509.Certificate, cipher: str, transport: str = PKCS1
) -> str:
    """A just-in-time password: UTF-16 little endian, in an envelope, in base64."""
    text = password.encode("utf-16-le")
    return base64.b64encode(envelope(text, recipient, cipher, transport=transport)).decode()
