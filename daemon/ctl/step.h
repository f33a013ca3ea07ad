/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_STEP_H
#define DAEMON_CTL_STEP_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

enum { STEP_NAME_MAX = 80, STEP_TEXT_MAX = 256 };

/**
 * struct step - a progress object of the daemon, checked and cleaned
 * @cpu, @ran_on: -1 unknown
 * @name: the state's, with a callback's own name; clean text
 * @enter: the step was entered, else left
 * @t_ms: since the operation was accepted
 * @text: a sentence, "" none
 * @kernel: this is a step of the guest kernel's own ladder, named in the last fields
 */
struct step {
	int vcpu;
	int cpu;
	int state;
	char name[STEP_NAME_MAX];
	bool enter;
	int rc;
	int ran_on;
	double t_ms;
	bool startup;
	bool rollback;
	bool late;
	char text[STEP_TEXT_MAX];
	bool kernel;
	int kstep;
	char kname[STEP_NAME_MAX];
	bool kenter;
	int krc;
};

/* Return: 0; -EINVAL if vcpu, state or phase are missing or of another kind (@ret untouched). */
int step_parse(json_object *o, struct step *ret);

/* "76.0 ms", "12.3 s", "4m07s" */
const char *step_format_ms(double ms, char *buf, size_t size);

/* "Resource temporarily unavailable (-11)", "exit status 3", "signal 9" */
const char *step_format_rc(int rc, char *buf, size_t size);

/* @sentence without the "vcpu N: " it begins with where it stands alone. */
const char *step_skip_vcpu(const char *sentence);

#endif
