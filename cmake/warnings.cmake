# Warnings of our own targets only; LRIAD_SANITIZE=address,undefined builds everything of ours under those sanitizers,
# thread under the one for data races (run it with TSAN_OPTIONS=suppressions=cmake/tsan.supp).
add_library(lriad_warnings INTERFACE)
target_compile_options(lriad_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wconversion>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees overlapping copies in "literal" + std::string where there are none (its bug 105651), and members of
  # nlohmann::json as uninitialised behind its unions.
  target_compile_options(lriad_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Werror;-Wno-restrict;-Wno-maybe-uninitialized>)
endif()
set(LRIAD_SANITIZE "" CACHE STRING "Sanitizers, for example address,undefined or thread")
option(LRIAD_LIBFUZZER "Let clang's libFuzzer drive the fuzz targets instead of tests/fuzz/driver.cpp" OFF)
if(LRIAD_SANITIZE)
  target_compile_options(lriad_warnings INTERFACE -fsanitize=${LRIAD_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer $<$<BOOL:${LRIAD_LIBFUZZER}>:-fsanitize=fuzzer-no-link>)
  target_link_options(lriad_warnings INTERFACE -fsanitize=${LRIAD_SANITIZE})
endif()
