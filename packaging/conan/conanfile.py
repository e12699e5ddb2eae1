"""leat for Conan 2: conan create packaging/conan. The recipe takes leat from the tree that it stands in.

SPDX-License-Identifier: MIT
"""
import os
import re

from conan import ConanFile
from conan.tools.files import copy, load

HEADERS = ("queue.h", "semaphore.h", "pool.h", "topic.h", "leat.hpp")


class Leat(ConanFile):
    name = "leat"
    description = "Go's channels, select, semaphores, error groups and worker pools for C11, in headers"
    license = "MIT"
    topics = ("channel", "select", "thread-pool", "lock-free", "header-only")
    package_type = "header-library"
    settings = "os", "compiler", "build_type", "arch"  # what uses it has them; package_id leaves them out
    no_copy_source = True

    def set_version(self):
        text = load(self, os.path.join(self.recipe_folder, "..", "..", "queue.h"))
        self.version = re.search(r'#define LEAT_VERSION_STRING "(.*)"', text).group(1)

    def export_sources(self):
        tree = os.path.join(self.recipe_folder, "..", "..")
        for file in HEADERS + ("LICENSE",):
            copy(self, file, tree, self.export_sources_folder)

    def package_id(self):
        self.info.clear()

    def package(self):
        for header in HEADERS:
            copy(self, header, self.source_folder, os.path.join(self.package_folder, "include", "leat"))
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "leat")
        parts = self.cpp_info.components
        for part in ("leat", "topic"):
            parts[part].bindirs = parts[part].libdirs = []
            parts[part].set_property("cmake_target_name", "leat::" + part)
        parts["leat"].set_property("pkg_config_name", "leat")
        parts["topic"].set_property("pkg_config_name", "leat-topic")
        parts["topic"].requires = ["leat"]
        parts["topic"].defines = ["LEAT_NO_URCU"]  # it counts: Conan has no recipe of liburcu to rely on
        if self.settings.os != "Windows":
            parts["leat"].system_libs = ["pthread"]
