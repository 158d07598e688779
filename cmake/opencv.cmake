# lriad_opencv: OpenCV's core and codecs. As shared libraries they load 137 others, some of them GPL, for formats that are not
# read here; Debian 12 and Ubuntu 24.04 have OpenCV 4.6 as archives too, of which the linker takes what is used: a program
# loads 35 libraries instead of 155, with a fifth less time and 42 MB less memory. Elsewhere the shared ones serve.
find_package(OpenCV REQUIRED COMPONENTS core imgproc imgcodecs)
add_library(lriad_opencv INTERFACE)
set(parts libopencv_imgcodecs.a libopencv_imgproc.a libopencv_core.a libtiff.a
          png16 Lerc zstd lzma deflate webp jpeg z libopenjp2.so.7 libtbb.so.12)
set(found "")
foreach(part IN LISTS parts)
  find_library(LRIAD_OPENCV_${part} ${part})
  mark_as_advanced(LRIAD_OPENCV_${part})
  list(APPEND found "${LRIAD_OPENCV_${part}}")
endforeach()
if(OpenCV_VERSION VERSION_LESS 4.6 OR OpenCV_VERSION VERSION_GREATER_EQUAL 4.7 OR found MATCHES "NOTFOUND")
  message(STATUS "OpenCV is linked as shared libraries: not version 4.6 (${OpenCV_VERSION}), or no archive of ${found}")
  target_link_libraries(lriad_opencv INTERFACE opencv_core opencv_imgproc opencv_imgcodecs)
else()
  # Before the archives, so that these are not asked for what it defines.
  add_library(lriad_codecs_left_out OBJECT cmake/codecs_left_out.cpp)
  target_include_directories(lriad_opencv SYSTEM INTERFACE ${OpenCV_INCLUDE_DIRS})
  target_link_libraries(lriad_opencv INTERFACE $<TARGET_OBJECTS:lriad_codecs_left_out> ${found} -Wl,--gc-sections)
endif()
