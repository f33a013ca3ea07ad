/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/finding.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const names[SEVERITIES] = {
	[SEVERITY_OK] = "ok",
	[SEVERITY_NOTE] = "note",
	[SEVERITY_WARNING] = "warning",
	[SEVERITY_ERROR] = "error",
};

const char *severity_name(enum severity s)
{
	assert((unsigned int)s < SEVERITIES);
	return names[s];
}

void findings_done(struct findings *f)
{
	free(f->v);
	*f = (struct findings){ 0 };
}

void findings_add(struct findings *f, const char *check, enum severity severity, const char *format,
		  ...)
{
	struct finding *v = reallocarray(f->v, f->n + 1, sizeof(*v));
	va_list ap;

	if (!v) {
		f->no_memory = true;
		return;
	}
	f->v = v;
	v += f->n++;
	*v = (struct finding){ .check = check, .severity = severity };
	va_start(ap, format);
	vsnprintf(v->text, sizeof(v->text), format, ap);
	va_end(ap);
}

void findings_advise(struct findings *f, const char *format, ...)
{
	va_list ap;

	if (f->no_memory || f->n == 0)
		return;
	va_start(ap, format);
	vsnprintf(f->v[f->n - 1].advice, FINDING_TEXT, format, ap);
	va_end(ap);
}

const struct finding *findings_worst(const struct findings *f)
{
	const struct finding *worst = f->n ? f->v : NULL;

	for (size_t i = 1; i < f->n; i++)
		if (f->v[i].severity > worst->severity)
			worst = &f->v[i];
	return worst;
}
