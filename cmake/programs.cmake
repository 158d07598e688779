# Programs: src/app/lriad_<name>.cpp, each with what it needs of the folder src/app.
foreach(name IN ITEMS train eval tool)
  add_executable(lriad-${name} src/app/lriad_${name}.cpp)
  target_include_directories(lriad-${name} PRIVATE src)
  target_link_libraries(lriad-${name} PRIVATE lriad_app lriad_warnings)
  lriad_use_kernels(lriad-${name})
  install(TARGETS lriad-${name})
endforeach()
install(DIRECTORY configs/ DESTINATION share/lriad/configs)
