# Every way to build with leat is built by a project that is not ours: CMake (as a folder, fetched, installed and moved),
# Meson (as a subproject, installed), pkg-config, a plain -I, the one file; and the recipes of packagers are sound.
# SPDX-License-Identifier: MIT
. tests/lib/tap.sh

root=$PWD users=tests/builds
version=$(sed -n 's,^#define LEAT_VERSION_STRING "\(.*\)",\1,p' queue.h)
headers="$(sed -n 's/^HEADERS := \$(CORE) \([^#]*\).*/\1/p; s/^CORE := //p' Makefile) leat.hpp"
CFLAGS= CXXFLAGS= LDFLAGS= # the ways bring all that is needed
export CC CXX CFLAGS CXXFLAGS LDFLAGS

# ---- One version, one list of headers -------------------------------------------------------------
says() { # file, a sed expression that prints its version
    said=$(sed -n "$2" "$1")
    [ "$said" = "$version" ] || { echo "$1 says \"$said\", and queue.h \"$version\""; return 1; }
}
check "meson.build has the version of queue.h" says meson.build "s/^project('leat'.* version: '\([^']*\)'.*/\1/p"
check "... clib.json" says clib.json 's/^  "version": "\(.*\)",/\1/p'
check "... the port of vcpkg" says packaging/vcpkg/leat/vcpkg.json 's/^  "version": "\(.*\)",/\1/p'
check "... the Debian package" says packaging/debian/changelog '1s/^leat (\([^-]*\)-.*/\1/p'
check "... the number" test $(sed -n 's,^#define LEAT_VERSION \([0-9]*\).*,\1,p' queue.h) = \
    $(echo "$version" | awk -F. '{ print 10000 * $1 + 100 * $2 + $3 }')
check "... and the newest section of CHANGELOG.md" \
    sh -c 'newest=$(sed -n "s/^## //p" CHANGELOG.md | head -n 1); case $1 in ${newest%% *}.*|${newest%% *}) ;; *) echo "$newest"; exit 1 ;; esac' - "$version"
lists() { # file: it names each header
    for header in $headers; do grep -q "\<$header\>" "$1" || { echo "$1 lacks $header"; return 1; }; done
}
for file in CMakeLists.txt meson.build clib.json packaging/conan/conanfile.py; do
    check "$file installs each header" lists $file
done
for header in $headers; do
    check "<leat/$header> is there in a clone" grep -qx "#include \"../../$header\"" include/leat/$header
done

# ---- CMake ----------------------------------------------------------------------------------------
by_cmake() { # a name, what to give to it
    to=$tmp/$1
    shift
    cmake -S $users -B "$to" "$@" && cmake --build "$to" && "$to/use" && { [ ! -e "$to/topic" ] || "$to/topic"; }
}
check "make install" make -s install CC="$CC" PREFIX=/opt/leat DESTDIR="$tmp/root"
mv "$tmp/root/opt/leat" "$tmp/moved"
if have cmake; then
    check "CMake: add_subdirectory" by_cmake folder -DWAY=subdirectory -DLEAT="$root"
    check "... builds nothing of leat's own" sh -c '! find "$1" -name "*.o" | grep -v "/\(use\|topic\)\.dir/"' - "$tmp/folder"
    check "... and installs nothing of it" sh -c 'cmake --install "$1" --prefix "$1/i" && [ ! -e "$1/i/include" ]' - "$tmp/folder"
    check "CMake: FetchContent" by_cmake fetched -DWAY=fetch -DLEAT="$root"
    check "CMake: find_package, of what make install wrote, moved" by_cmake found -DWAY=find -DCMAKE_PREFIX_PATH="$tmp/moved" \
        -DASKED="${version%.*}"
    check "... uses those headers" sh -c 'cat "$1"/CMakeFiles/use.dir/flags.make | grep -q "$2/include"' - "$tmp/found" "$tmp/moved"
    check "... and without liburcu the topic counts" by_cmake counts -DWAY=find -DCMAKE_PREFIX_PATH="$tmp/moved" -DLEAT_NO_URCU=ON
    check "... with a word" sh -c 'cmake "$1" | grep "without liburcu" && "$1/topic" | grep counts' - "$tmp/counts"
    for other in 9.0 0.2 "$version.1"; do
        refuse "find_package of a version that is not compatible: $other" cmake -S $users -B "$tmp/other" -DWAY=find \
            -DCMAKE_PREFIX_PATH="$tmp/moved" -DASKED=$other
        mv "$tmp/said" "$tmp/complaints"
        check "... because of the version" grep -q "0\.3.*leat-config\|leat-config.*version: $version" "$tmp/complaints"
        rm -rf "$tmp/other"
    done
    as_vcpkg() { # which moves the files
        cp -R "$tmp/moved" "$tmp/vcpkg" && mv "$tmp/vcpkg/share/cmake/leat/"* "$tmp/vcpkg/share/leat" && rmdir "$tmp/vcpkg/share/cmake/leat" &&
            cmake -S $users -B "$tmp/as-vcpkg" -DWAY=find -DCMAKE_PREFIX_PATH="$tmp/vcpkg"
    }
    check "find_package where vcpkg puts it" as_vcpkg
    cmake_installs() {
        cmake -S . -B "$tmp/ours" -DCMAKE_INSTALL_PREFIX="$tmp/by-cmake" && cmake --install "$tmp/ours" &&
            diff -r -x man "$tmp/by-cmake" "$tmp/moved"
    }
    check "CMake installs what make install does" cmake_installs
    echo 'foreach(f vcpkg_cmake_configure vcpkg_cmake_install vcpkg_cmake_config_fixup vcpkg_fixup_pkgconfig vcpkg_install_copyright)
    function(${f})
        string(REPLACE ";" " " words "${ARGN}")
        message("${CMAKE_CURRENT_FUNCTION} ${words}")
    endfunction()
endforeach()
include("${CURRENT_PORT_DIR}/portfile.cmake")' >"$tmp/vcpkg.cmake"
    port() {
        cmake -DCURRENT_PORT_DIR="$root/packaging/vcpkg/leat" -DCURRENT_PACKAGES_DIR="$tmp/port" -DPORT=leat -P "$tmp/vcpkg.cmake" &&
            [ -s "$tmp/port/share/leat/usage" ]
    }
    check "the port of vcpkg runs" port
    mv "$tmp/said" "$tmp/port-says"
    check "... and configures this tree" grep -qix "vcpkg_cmake_configure SOURCE_PATH $root" "$tmp/port-says"
else
    skip "the ways of CMake" "no cmake"
fi

# ---- Meson ----------------------------------------------------------------------------------------
by_meson() { # a name, options
    to=$tmp/$1
    shift
    mkdir -p "$to/subprojects" && cp $users/meson* $users/*.c* "$to" && ln -s "$root" "$to/subprojects/leat" &&
        (cd "$to" && meson setup b "$@" && ninja -C b && b/use && b/topic)
}
if have meson && have ninja; then
    check "Meson: a subproject" by_meson sub
    if have pkg-config; then
        PKG_CONFIG_PATH=$tmp/moved/share/pkgconfig
        export PKG_CONFIG_PATH
        check "Meson: dependency, of what make install wrote, moved" by_meson installed --wrap-mode=nofallback
        unset PKG_CONFIG_PATH
    else
        skip "Meson: dependency" "no pkg-config"
    fi
    meson_installs() {
        meson setup "$tmp/meson" . --prefix "$tmp/by-meson" && meson install -C "$tmp/meson" &&
            diff -r -x man "$tmp/by-meson" "$tmp/moved"
    }
    check "Meson installs what make install does" meson_installs
else
    skip "the ways of Meson" "no meson, or no ninja"
fi

# ---- A plain folder, pkg-config, C++ --------------------------------------------------------------
check "a clone: -I LEAT/include" $CC -std=c11 -Wall -Wextra -Werror -Iinclude $users/use.c -o "$tmp/use" -pthread
check "... runs" "$tmp/use"
if have pkg-config; then
    check "pkg-config of what was moved" sh -c 'PKG_CONFIG_PATH=$1/share/pkgconfig pkg-config --cflags leat | grep -q "$1"' - "$tmp/moved"
fi
if ! have "$CXX"; then
    skip "C++" "no $CXX"
elif ! $CXX -x c++ -Iinclude -fsyntax-only -w include/leat/pool.h 2>/dev/null; then
    skip "C++" "the headers do not compile as C++"
else
    check "C++: -I LEAT/include" $CXX -Wall -Wextra -Werror -Iinclude $users/use.cpp -o "$tmp/use_cpp" -pthread
    check "... runs" "$tmp/use_cpp"
    if have cmake; then
        check "CMake: a project in C++ alone" by_cmake cxx -DWAY=subdirectory -DLEAT="$root" -DCXX=ON
        check "... find_package" by_cmake cxx-found -DWAY=find -DCMAKE_PREFIX_PATH="$tmp/moved" -DCXX=ON
    fi
    if have meson && have ninja; then check "Meson: C++" by_meson cxx-sub -Dcxx=true; fi
fi

# ---- The recipes ----------------------------------------------------------------------------------
if have python3; then
    for file in clib.json packaging/vcpkg/leat/vcpkg.json; do
        check "$file is JSON" python3 -c 'import json, sys; json.load(open(sys.argv[1]))' $file
    done
    # Conan itself is not to be had everywhere. What the recipe uses of it is little.
    mkdir -p "$tmp/conan/conan/tools"
    echo 'class ConanFile: pass' >"$tmp/conan/conan/__init__.py"
    : >"$tmp/conan/conan/tools/__init__.py"
    echo 'import os, shutil
def load(conanfile, path): return open(path).read()
def copy(conanfile, pattern, src, dst):
    os.makedirs(dst, exist_ok=True)
    shutil.copy(os.path.join(src, pattern), dst)' >"$tmp/conan/conan/tools/files.py"
    cat >"$tmp/conan/create.py" <<'END'
import collections, sys, types
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, "packaging/conan")
import conanfile
class Info:
    def __init__(self): self.properties, self.system_libs = {}, []
    def set_property(self, name, value): self.properties[name] = value
r = conanfile.Leat()
r.recipe_folder, r.export_sources_folder, r.package_folder = "packaging/conan", sys.argv[2] + "/src", sys.argv[2]
r.source_folder, r.info, r.settings = r.export_sources_folder, set(), types.SimpleNamespace(os="Linux")
r.cpp_info = Info()
r.cpp_info.components = collections.defaultdict(Info)
for step in ("set_version", "export_sources", "package_id", "package", "package_info"): getattr(r, step)()
assert r.version == sys.argv[3], r.version
assert r.cpp_info.components["topic"].requires == ["leat"]
END
    check "the recipe of Conan runs" python3 "$tmp/conan/create.py" "$tmp/conan" "$tmp/package" "$version"
    check "... and what it packages is built" $CC -std=c11 -I"$tmp/package/include" -DLEAT_NO_URCU $users/topic.c -o "$tmp/packaged" -pthread
    check "... with the licence" cmp LICENSE "$tmp/package/licenses/LICENSE"
    # Where it is, it runs the recipe, and a project finds the package.
    by_conan() { # from a folder of its own, in which Conan leaves files
        (export CONAN_HOME="$tmp/conan-home" && mkdir -p "$tmp/by-conan" && cd "$tmp/by-conan" && conan profile detect --force &&
            conan create "$root/packaging/conan" --no-remote &&
            conan install --requires="leat/$version" --no-remote -g CMakeDeps -g CMakeToolchain -g PkgConfigDeps -of .)
    }
    if conan --version 2>/dev/null | grep -q "version 2"; then
        check "conan create, conan install" by_conan
        for cxx in OFF ON; do
            check "... find_package, C++ $cxx" by_cmake conan-$cxx -DWAY=find -DCXX=$cxx -DCMAKE_BUILD_TYPE=Release \
                -DCMAKE_TOOLCHAIN_FILE="$tmp/by-conan/conan_toolchain.cmake" -DASKED="${version%.*}"
        done
        check "... pkg-config: the topic counts" sh -c 'PKG_CONFIG_PATH=$1 pkg-config --cflags leat-topic | grep NO_URCU' - "$tmp/by-conan"
    else
        skip "the recipe, run by Conan" "no conan 2"
    fi
else
    skip "the recipes of packagers" "no python3"
fi
finish
