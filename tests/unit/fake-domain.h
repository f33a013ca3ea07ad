/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_FAKE_DOMAIN_H
#define TESTS_UNIT_FAKE_DOMAIN_H

#include "daemon/admission.h"
#include "daemon/domain.h"

/*
 * What daemon/domain.h promises, without a QEMU or an engine: for the tests of those who use it.
 * One domain, "web1", of four vCPUs, two of them plugged; operations stay where the test puts them.
 */
struct fake {
	struct manager manager;
	struct config config;
	struct domain_config domain_configs[2];
	struct domain_config *config_list[2];
	struct domain domain;
	struct domain *domain_list[1];
	struct vcpu vcpus[4];
	struct op *ops[8];
	unsigned int n_ops;
	/* What was asked of it last. */
	struct op_request request;
	unsigned int watched; /* how many watch the load now */
	unsigned int submitted, cancelled, attached, detached, armed, admitted;
	int armed_state;
	/* How it answers. */
	enum request_error error; /* of domain_submit(), where @refuse */
	bool refuse;
	int step_rc;         /* of steps that are left */
	bool hold;           /* admissions wait for fake_admit() */
	const char *warning; /* of a plan, NULL none */
	hv_done_fn arm_done;
	void *arm_arg;
};

void fake_init(struct fake *f, sd_event *event);
void fake_done(struct fake *f);

/* Publish a step of @o. */
void fake_step(struct fake *f, struct op *o, enum event_type type, int state, bool enter);

/* What waits is admitted, a change with a plan of one move (COUNT above the maximum: refused); or it
 * ends with @v. */
void fake_admit(struct fake *f, const struct verdict *v);

/* The operation is over. */
void fake_end(struct fake *f, struct op *o, enum op_result result);

#endif
