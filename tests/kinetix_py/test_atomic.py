"""Files are the old ones or the new ones, never a part."""

from __future__ import annotations

import pytest

from kinetix_py.atomic import atomic_path, atomic_write


def test_a_file_is_replaced_whole_and_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "a.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    atomic_write(link, "neu ü")
    assert link.is_symlink() and target.read_text(encoding="utf-8") == "neu ü"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "link.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.gif"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="half"), atomic_path(target, ".gif") as part:
        part.write_text("half")
        assert part.suffix == ".gif" and part.parent == tmp_path
        raise RuntimeError("half way")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "none" / "a.txt", "text")
