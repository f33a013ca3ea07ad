# The definition of the interface as a C string.
s/[\\"]/\\&/g
s/.*/\t"&\\n"/
1i\
#include "daemon/api-internal.h"\
\
const char api_description[] =
$a\
\t;
