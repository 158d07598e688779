// Stands in for the codecs of libopencv_imgcodecs.a 4.6 and libtiff.a that would bring in OpenEXR, GDAL, GDCM and
// libjbig. OpenCV makes one object of each codec when it starts: here a bare base class, which knows no extension of
// files and opens none. It is asked after the codecs of BMP, JPEG, WebP, TIFF and PNG, and ends the search.
#include <cstdlib>
#include <new>

namespace cv {

// As the archive defines them. Their objects are smaller than those of any codec.
struct BaseImageDecoder {
  BaseImageDecoder();
};
struct BaseImageEncoder {
  BaseImageEncoder();
};

struct DICOMDecoder {
  DICOMDecoder();
};
DICOMDecoder::DICOMDecoder() { new (this) BaseImageDecoder; }

struct ExrDecoder {
  ExrDecoder();
  ~ExrDecoder();
};
ExrDecoder::ExrDecoder() { new (this) BaseImageDecoder; }
ExrDecoder::~ExrDecoder() {}

struct ExrEncoder {
  ExrEncoder();
  ~ExrEncoder();
};
ExrEncoder::ExrEncoder() { new (this) BaseImageEncoder; }
ExrEncoder::~ExrEncoder() {}

struct GdalDecoder {
  GdalDecoder();
  ~GdalDecoder();
  void newDecoder() const;
};
GdalDecoder::GdalDecoder() { new (this) BaseImageDecoder; }
GdalDecoder::~GdalDecoder() {}
void GdalDecoder::newDecoder() const { std::abort(); }  // compared with, never called: the base class's is

}  // namespace cv

extern "C" {
int TIFFInitJBIG(void*, int) { return 0; }  // NOLINT: libtiff then says that the compression is not supported
void* glXGetProcAddressARB(const unsigned char*) { return nullptr; }  // OpenGL, of which nothing is called
}
