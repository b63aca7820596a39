"""Certificates that are made for a test, and gone with it."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority. What it makes is in PEM."""

    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    def certificate(self) -> bytes:
        return self._sign(self.key.public_key(), self.name, x509.BasicConstraints(ca=True, path_length=None), DAY)

    def identity(self, *, valid: datetime.timedelta = DAY) -> bytes:
        """Key and certificate of a server at 127.0.0.1. valid: from now on; less than nothing for one that has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return secret + self._sign(key.public_key(), _named("server"), address, valid)

    def _sign(
        self, key: ec.EllipticCurvePublicKey, name: x509.Name, extension: x509.ExtensionType, valid: datetime.timedelta
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateBuilder(self.name, name, key, x509.random_serial_number(), now - 10 * DAY, now + valid)
        return made.add_extension(extension, critical=True).sign(self.key, hashes.SHA256()).public_bytes(PEM)


def authority(name: str) -> Authority:
    return Authority(ec.generate_private_key(ec.SECP256R1()), _named(name))


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
