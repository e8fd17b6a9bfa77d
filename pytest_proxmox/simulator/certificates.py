"""A certificate authority of the server's own, so that clients can verify instead of not."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS: Final = 30
_BACKDATED: Final = datetime.timedelta(days=1)  # for clients whose clock is behind


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of PEM files: the authority's certificate, the server's chain and its key."""

    ca_file: Path
    chain_file: Path
    key_file: Path


def issue(folder: Path, *, host: str) -> Certificates:
    """Make a fresh authority and a certificate for ``host`` and loopback, in ``folder``.

    The authority's key is not kept: nobody can issue another certificate with it.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("pytest-proxmox embedded CA")
    authority = _sign(
        authority_name, authority_key.public_key(), authority_name, authority_key, host=None
    )
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _sign(
        _name("embedded Proxmox VE"), key.public_key(), authority_name, authority_key, host=host
    )
    paths = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority_pem = authority.public_bytes(serialization.Encoding.PEM)
    paths.ca_file.write_bytes(authority_pem)
    paths.chain_file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + authority_pem)
    paths.key_file.touch(mode=0o600)
    paths.key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _sign(
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    host: str | None,
) -> x509.Certificate:
    """Return a certificate; one without a host is an authority's."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(_usage(authority=host is None), critical=True)
    )
    if host is not None:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(_alternatives(host)), critical=False
        ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    addresses = ["127.0.0.1", "::1"]
    try:
        ipaddress.ip_address(host)
        addresses.append(host)
    except ValueError:
        names.append(x509.DNSName(host))
    return names + [x509.IPAddress(ipaddress.ip_address(a)) for a in dict.fromkeys(addresses)]
