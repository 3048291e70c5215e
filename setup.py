"""Packaging of the agent: what is installed, and what it needs at run time."""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.install import install

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # pip runs this file from elsewhere

from tools.packaging.install import install_data  # noqa: E402  once the path is set
from tools.packaging.version import read_version  # noqa: E402  likewise

# The floors are the releases of Ubuntu 22.04; tests/requirements/oldest.txt tests with them.
REQUIREMENTS = (
    "asn1crypto>=1.4.0",
    "cryptography>=3.4.8",
    "lxml>=4.8.0",
    "psutil>=5.9.0",
    "pyudev>=0.22.0",
)
SWITCHES = ["register-service", "skip-data-files"]


class Install(install):
    """`setup.py install` with the existing agent's options (spec CLI 6.2): modules, then data.

    pip builds a wheel, and a wheel has no data files: they have no business in an environment.
    """

    user_options = [  # noqa: RUF012  declared so by setuptools
        *install.user_options,
        ("lnx-distro=", None, "the distribution to install for; this machine's if not given"),
        ("lnx-distro-version=", None, "its version, which makes no difference any more"),
        ("lnx-distro-fullname=", None, "its long name, which tells Clear Linux"),
        ("register-service", None, "enable and start the service, stopping an older one first"),
        ("skip-data-files", None, "install the modules only"),
    ]
    boolean_options = [*install.boolean_options, *SWITCHES]  # noqa: RUF012  likewise

    def initialize_options(self) -> None:
        """Nothing is chosen yet."""
        super().initialize_options()
        self.lnx_distro = self.lnx_distro_version = self.lnx_distro_fullname = ""
        self.register_service = self.skip_data_files = False
        self.by_hand = "install" in self.distribution.commands  # else for a wheel's modules

    def finalize_options(self) -> None:
        """With a root, setuptools installs files and no egg, which would hide the modules."""
        if self.by_hand:
            self.root = self.root or "/"
            self.distribution.scripts = []  # the family says where the command goes
        super().finalize_options()

    def run(self) -> None:
        """Modules, then the family's files, then the service."""
        super().run()
        if self.by_hand:
            install_data(
                "clearlinux" if "Clear Linux" in self.lnx_distro_fullname else self.lnx_distro,
                root=Path(self.root),
                module_dir="/" + str(Path(self.install_lib).relative_to(self.root)),
                skip=bool(self.skip_data_files),
                register=bool(self.register_service),
            )


if __name__ == "__main__":
    setup(
        name="waagent",
        version=read_version(),
        description="The Azure Linux guest agent",
        long_description=(HERE / "README.md").read_text(encoding="utf-8"),
        long_description_content_type="text/markdown",
        license="Apache-2.0",
        python_requires=">=3.9",
        packages=find_packages(include=["waagent", "waagent.*"]),
        scripts=["bin/waagent"],
        install_requires=list(REQUIREMENTS),
        cmdclass={"install": Install},
    )
