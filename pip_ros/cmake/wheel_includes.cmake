# Passed to cmake as CMAKE_PROJECT_INCLUDE when a package is built against the ROS 2 wheels.
#
# The targets *__rosidl_generator_py that the wheels export name the include folders of the Python that the wheels
# were built with, below /opt/python/. They exist on no other machine, and cmake stops at an imported target whose
# include folder is missing. The Python of this machine reaches the targets by find_package(Python3), so the stale
# entries are simply dropped, once every find_package() of the project has run.

function(drop_wheel_builder_includes)
  get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS imported)
    get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(includes MATCHES "/opt/python/")
      list(FILTER includes EXCLUDE REGEX "^/opt/python/")
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${includes}")
    endif()
  endforeach()
endfunction()

cmake_language(DEFER CALL drop_wheel_builder_includes)
