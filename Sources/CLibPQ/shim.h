// libpq, PostgreSQL's C client library. Imported by the module PostgreSQL alone.
#include <libpq-fe.h>
