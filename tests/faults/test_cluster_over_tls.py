"""A cluster over ``tls://``: real processes with certificates on both sides, and who has others is no part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import distributed  # noqa: F401 - its settings have to be there before they are changed
import pytest
import trustme
from tests.faults.test_lost_cluster import BALANCE_MINOR, TREND, processes
from tests.unit.research.sweep_series import series_of, walk

from palmbot.errors import PalmbotError
from palmbot.research.cluster import on_cluster
from palmbot.research.evaluate import on_threads
from palmbot.research.grid import Grid, axes_of, in_order


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Return the files of an authority, a certificate of it and its key, all new."""
    folder.mkdir()
    authority = trustme.CA()
    leaf = authority.issue_cert("palmbot.example")
    ca, cert, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(ca)
    leaf.cert_chain_pems[0].write_to_path(cert)
    leaf.private_key_pem.write_to_path(key)
    return ca, cert, key


def trusting(ca: Path, cert: Path, key: Path) -> Any:
    """Set what Dask's own settings say of the searching process's certificates."""
    return dask.config.set(
        {
            "distributed.comm.tls.ca-file": str(ca),
            "distributed.comm.tls.client.cert": str(cert),
            "distributed.comm.tls.client.key": str(key),
        }
    )


@pytest.mark.slow
def test_a_cluster_over_tls_finds_the_same_to_the_bit_and_a_stranger_is_told_in_seconds(tmp_path: Path) -> None:
    ours, strange = certificates(tmp_path / "ours"), certificates(tmp_path / "strange")
    series = series_of(walk(3_000, seed=3))
    table = Grid(TREND, axes_of(TREND)).sample(100, 1)
    *_, whole = in_order(table, on_threads(BALANCE_MINOR, 1))(series)
    flags = [
        word for pair in zip(("--tls-ca-file", "--tls-cert", "--tls-key"), map(str, ours), strict=True) for word in pair
    ]
    with processes("--protocol", "tls", *flags, count=1) as running:
        assert running.address.startswith("tls://")
        with trusting(*ours), on_cluster(running.address, BALANCE_MINOR) as cluster:
            *_, found = in_order(table, cluster.evaluate)(series)
        assert found.results.tobytes() == whole.results.tobytes()
        with trusting(*strange), pytest.raises(PalmbotError) as refused, on_cluster(running.address, BALANCE_MINOR):
            pass
        assert refused.value.code == "CLUSTER_UNREACHABLE"
        assert "certificate verify failed" in str(refused.value.facts["reason"]).lower()
