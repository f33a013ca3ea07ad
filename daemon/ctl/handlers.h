/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_HANDLERS_H
#define DAEMON_CTL_HANDLERS_H

struct ctl;

/* Each runs the command of its name and returns the program's exit code. */

/* show.c */
int run_list(struct ctl *c);
int run_host(struct ctl *c);
int run_states(struct ctl *c);
int run_info(struct ctl *c);
int run_vcpucount(struct ctl *c);
int run_metrics(struct ctl *c);

/* change.c */
int run_setvcpus(struct ctl *c);
int run_setvcpu(struct ctl *c);
int run_target(struct ctl *c);

/* domain-xml.c */
int run_domain_xml(struct ctl *c);

/* doctor.c */
int run_doctor(struct ctl *c);

/* operations.c */
int run_ops(struct ctl *c);
int run_op(struct ctl *c);
int run_wait(struct ctl *c);
int run_cancel(struct ctl *c);

/* events.c */
int run_events(struct ctl *c);

/* top.c */
int run_top(struct ctl *c);

/* trace-file.c */
int run_trace(struct ctl *c);

/* manage.c */
int run_fail(struct ctl *c);
int run_attach(struct ctl *c);
int run_detach(struct ctl *c);

#endif
