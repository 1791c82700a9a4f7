"""Certificates and keys: the server shows that it is the server, and each node that it is one that was let in."""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = datetime.timedelta(days=365)
"""How long a certificate holds."""


def write_certificates(folder: Path, hosts: list[str]) -> None:
    """Write `ca.crt`, by which nodes know the server, and the server's `server.crt` and `server.key`.

    The key that signs is thrown away, so that nobody can make another server's.

    Args:
        folder: where to.
        hosts: names and addresses by which nodes reach the server.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_certificates(folder, ["localhost", "127.0.0.1"])
        >>> sorted(path.name for path in folder.iterdir()), oct((folder / "server.key").stat().st_mode)[-3:]
        (['ca.crt', 'server.crt', 'server.key'], '600')
    """
    signer, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    issuer, subject = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Juyi federation", hosts[0][:60])
    )
    ca = _unsigned(issuer, issuer, signer).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    names = x509.SubjectAlternativeName([_named(host) for host in hosts])
    server = _unsigned(subject, issuer, key).add_extension(names, critical=False)
    server = server.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    folder.mkdir(parents=True, exist_ok=True)
    for name, unsigned in (("ca.crt", ca), ("server.crt", server)):
        signed = unsigned.sign(signer, hashes.SHA384())
        (folder / name).write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    write_secret(folder / "server.key", key.private_bytes(*pem))


def write_node_key(secret: Path, public: Path) -> None:
    """Write a node's key, and what the server needs to know of it."""
    key = ec.generate_private_key(ec.SECP384R1())
    form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    write_secret(secret, key.private_bytes(*form))
    known = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    public.parent.mkdir(parents=True, exist_ok=True)
    public.write_bytes(known + b"\n")


def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALID)
    )


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write_secret(path: Path, content: bytes) -> None:
    """Write what nobody else may read, beside its place, and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.tmp")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    beside.replace(path)
