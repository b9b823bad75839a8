"""What markers of requirements are held against, by the bundle alone."""

from __future__ import annotations

from casemate.model.bundle import BundleManifest


def environment_of(manifest: BundleManifest) -> dict[str, str]:
    """Return what markers are held against (PEP 508), by the bundle alone."""
    minor = manifest.function.python or "3.11"
    arm = any("aarch64-linux-gnu" in file.path for file in manifest.files)
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{minor}.0",
        "os_name": "posix",
        "platform_machine": "aarch64" if arm else "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{minor}.0",
        "python_version": minor,
        "sys_platform": "linux",
    }
