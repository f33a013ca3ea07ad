/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_API_INTERNAL_H
#define DAEMON_API_INTERNAL_H

#include "daemon/admission.h"
#include "daemon/api.h"
#include "daemon/log-budget.h"

/* Private to the api*.c files. */

enum { API_REFUSALS = 8 };

/**
 * struct api_names - who may change what, resolved
 * @allow: @n, Allow= of each section of the configuration, in its order
 */
struct api_names {
	struct auth_names operators;
	struct auth_names *allow;
	size_t n;
};

/**
 * struct api - see api.h
 * @names: of the manager's configuration
 * @refusals: lines about them, by uid, so that nobody hides those of all others
 * @explaining: how many calls are under way in api_explain()
 */
struct api {
	struct manager *manager;
	uid_t daemon_uid;
	struct varlink_interface interface;
	struct api_names names;
	unsigned int explaining;
	struct log_budget refusals[API_REFUSALS];
};

/* The text of io.vcpuhp.Manager.varlink. */
extern const char api_description[];

/* Answer with io.vcpuhp.Manager.NAME (text). */
void api_fail(struct varlink_call *call, enum request_error error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Refused, with who refused; @refused_by may be NULL. */
void api_refuse(struct varlink_call *call, const char *refused_by, const char *text);
/* What admission_check() says of a request; @text borrowed. */
void api_deny(struct varlink_call *call, enum request_error error, const char *text);
/* InvalidArgument, with the parameter. */
void api_fail_parameter(struct varlink_call *call, const char *parameter, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Answer with one member. */
void api_reply(struct varlink_call *call, const char *key, json_object *value);

/* What the parameters "domain" and "op" name; NULL: the call was answered with an error, or will be. */
struct domain *api_domain(struct api *a, struct varlink_call *call);
struct op *api_op(struct api *a, struct varlink_call *call);

/* The same for a domain that need not be: *@ret NULL then. Return: 0; -EINVAL: it was answered. */
int api_find_domain(struct api *a, struct varlink_call *call, struct domain **ret);

/* api-auth.c: may this caller? Else the call was answered. */
bool api_admit(void *ctx, struct varlink_call *call);
/* Answer that he may not. */
void api_fail_permission(struct api *a, struct varlink_call *call);
/* The same for a domain of libvirt's that the call did not name so. */
bool api_permits(struct api *a, struct varlink_call *call, const char *name, const char *uuid);
/* Allow= of the section called as @d is, or, where it is not managed (NULL), of libvirt's sections of
 * either name; NULL it has none. */
const struct auth_names *api_allow(struct api *a, const struct domain *d, const char *name,
				   const char *uuid);
/* MaxVcpus= of a domain of libvirt's, 0 none. */
unsigned int api_ceiling(struct api *a, const char *name, const char *uuid);
/* @ret: returned to the caller, api_names_done(). Return: 0 or -ENOMEM. */
int api_names_resolve(const struct config *c, struct api_names *ret);
void api_names_done(struct api_names *names);

/* What a change affects: API_AFFECT_DEFAULT, where the caller did not say, is as LIVE; CURRENT is the
 * running domain, or the configuration of one that does not run. */
enum api_affect {
	API_AFFECT_DEFAULT,
	API_AFFECT_CURRENT,
	API_AFFECT_LIVE,
	API_AFFECT_CONFIG,
	API_AFFECT_BOTH
};

/**
 * api_config() - change a persistent configuration, or tell why there is no running domain
 * @d: NULL: of a domain that is not managed
 * @r: copied
 *
 * With API_AFFECT_BOTH and a managed domain only for a dry run.
 */
void api_config(struct api *a, struct varlink_call *call, const struct domain *d,
		const struct op_request *r, enum api_affect affect);

/* Answer why the daemon has no such domain, which libvirt may know: later, if so. */
void api_explain(struct api *a, struct varlink_call *call);

/**
 * api_read_state() - the parameter that names a state
 * @ret_callback: a callback's name, "" for a number or another name
 *
 * Return: 0; or -EINVAL: the call was answered.
 */
int api_read_state(struct varlink_call *call, const char *parameter, int *ret_state,
		   char ret_callback[MSG_NAME_MAX + 1]);

/* The handlers; @ctx is struct api. */
void api_get_host(void *ctx, struct varlink_call *call);
void api_list_domains(void *ctx, struct varlink_call *call);
void api_get_domain(void *ctx, struct varlink_call *call);
void api_list_states(void *ctx, struct varlink_call *call);
void api_list_operations(void *ctx, struct varlink_call *call);
void api_get_trace(void *ctx, struct varlink_call *call);
void api_metrics(void *ctx, struct varlink_call *call);
void api_set_vcpus(void *ctx, struct varlink_call *call);
void api_set_target(void *ctx, struct varlink_call *call);
void api_get_operation(void *ctx, struct varlink_call *call);
void api_cancel_operation(void *ctx, struct varlink_call *call);
void api_events(void *ctx, struct varlink_call *call);
void api_attach(void *ctx, struct varlink_call *call);
void api_detach(void *ctx, struct varlink_call *call);
void api_arm_failure(void *ctx, struct varlink_call *call);
void api_get_domain_xml(void *ctx, struct varlink_call *call);
void api_define_domain_xml(void *ctx, struct varlink_call *call);
void api_diagnose(void *ctx, struct varlink_call *call);

/**
 * api_wait() - answer when an operation has ended
 * @o: referenced while waiting
 * @timeout_ms: then TimedOut; 0 never
 * @trace: the answer has its remembered steps too
 *
 * If the caller set "more" its progress comes first, with the guest kernel's own steps unless the
 * call's "kernel_steps" is false: then only with those that failed.
 */
void api_wait(struct api *a, struct varlink_call *call, struct op *o, int64_t timeout_ms,
	      bool trace);

/* Answer with what a request would do, when that is known. @config: NULL, or what it would do to
 * the persistent configuration; taken. */
void api_plan(struct api *a, struct varlink_call *call, struct domain *d,
	      const struct op_request *r, json_object *config);

/* Answer with how an operation stands now. */
void api_reply_op(struct varlink_call *call, const struct op *o, bool trace);

/* The same for who asked for it or waits for it: one that was denied is no operation to him. */
void api_reply_outcome(struct varlink_call *call, const struct op *o, bool trace);

/* An admission that ended without success and without a plan. */
void api_fail_verdict(struct varlink_call *call, const struct verdict *v);

#endif
