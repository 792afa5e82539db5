"""Makes a certificate authority of one's own, and a certificate for this machine's loopback.

Runs in the environment of airbyte-source-looker, whose requirements include `cryptography`.
"""

from __future__ import annotations

import ipaddress
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LOOPBACK = ipaddress.ip_address("127.0.0.1")
_LIFETIME = timedelta(days=1)


def main() -> None:
    """Write `authority.pem` and, with its key, `server.pem` into the folder given."""
    folder = Path(sys.argv[1])
    own_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    own_name, server_name = _name("Benchmark's own authority"), _name("Benchmark's server")
    can_sign = x509.BasicConstraints(ca=True, path_length=0)
    authority = _unsigned(own_name, own_key, own_name).add_extension(can_sign, critical=True)
    server = (
        _unsigned(server_name, server_key, own_name)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(_LOOPBACK)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    (folder / "authority.pem").write_bytes(_signed(authority, own_key))
    (folder / "server.pem").write_bytes(_in_text(server_key) + _signed(server, own_key))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _unsigned(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFETIME)
        .not_valid_after(now + _LIFETIME)
    )


def _signed(certificate: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    signed = certificate.sign(key, hashes.SHA256())
    return bytes(signed.public_bytes(serialization.Encoding.PEM))


def _in_text(key: ec.EllipticCurvePrivateKey) -> bytes:
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return bytes(text)


if __name__ == "__main__":
    main()
