# leat-targets.cmake - the targets leat::leat and leat::topic, for a clone and for what is installed alike.
# SPDX-License-Identifier: MIT
#
# leat_include is the folder with leat/queue.h. There is nothing to build: a target brings the folder and the threads.
# leat::topic also brings liburcu. Without liburcu, or with LEAT_NO_URCU set, topic.h counts instead (LEAT_NO_URCU).

if(NOT TARGET leat::leat)
    add_library(leat::leat INTERFACE IMPORTED)
    set_target_properties(leat::leat PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${leat_include}"
        INTERFACE_LINK_LIBRARIES Threads::Threads)
endif()

if(NOT TARGET leat::topic)
    find_path(LEAT_URCU_INCLUDE urcu/urcu-bp.h)
    find_library(LEAT_URCU_LIBRARY urcu-bp)
    mark_as_advanced(LEAT_URCU_INCLUDE LEAT_URCU_LIBRARY)
    add_library(leat::topic INTERFACE IMPORTED)
    set_target_properties(leat::topic PROPERTIES INTERFACE_LINK_LIBRARIES leat::leat)
    if(LEAT_URCU_INCLUDE AND LEAT_URCU_LIBRARY AND NOT LEAT_NO_URCU)
        set_target_properties(leat::topic PROPERTIES
            INTERFACE_INCLUDE_DIRECTORIES "${LEAT_URCU_INCLUDE}"
            INTERFACE_LINK_LIBRARIES "leat::leat;${LEAT_URCU_LIBRARY}")
    else()
        set_target_properties(leat::topic PROPERTIES INTERFACE_COMPILE_DEFINITIONS LEAT_NO_URCU)
        if(NOT leat_FIND_QUIETLY)
            message(STATUS "leat::topic: without liburcu, so it counts (LEAT_NO_URCU)")
        endif()
    endif()
endif()
