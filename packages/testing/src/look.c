/* look FOLDER…: what of a namespace costs least to look at.
 *
 * First a line that tells which other programs would have something to tell here, in words:
 *   nftables ‹number›  of the generation of its rules: 1 until somebody first writes any; - where the kernel does not tell
 *   queues ‹0 or 1›    whether a link has a queueing discipline that was not its own from the start
 *   rules6 ‹hex›       the IPv6 policy rules as the kernel tells them, so that the same digits are the same rules
 *   tables ‹text›      which of ip and ip6 have legacy tables, or -
 * Where the kernel refuses an answer it says what makes the program be asked.
 *
 * Then what every file in and under these folders of /proc/sys says, a line `path:text` each, with the further lines of a
 * text of several as they are. Of one that cannot be read, or that is empty, nothing. What each link has of ipv4/conf and
 * ipv6/conf the kernel tells by netlink, in the place of a hundred files; a time may be in another unit there.
 *
 * grep(1) would do for these. But for a read of n bytes the kernel clears n bytes, however few there are, and grep's are
 * 96 KiB; and it asks for the names in each link's folder, which are those of any other link. */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <unistd.h>

static char path[4096], text[4000];

/* Names of a folder, each with its 0. */
struct names {
	char bytes[8192];
	size_t length;
};

/* Returns whether there is such a file. */
static int tell(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	int is_first = 1, ends_line = 1;
	for (ssize_t got; (got = read(fd, text, sizeof text)) > 0; is_first = 0) {
		if (is_first) {
			fputs_unlocked(path, stdout);
			putchar_unlocked(':');
		}
		fwrite_unlocked(text, 1, (size_t)got, stdout);
		ends_line = text[got - 1] == '\n';
		/* There is no more: a setting is told in one piece, where it fits. */
		if (got < (ssize_t)sizeof text)
			break;
	}
	if (!ends_line)
		putchar_unlocked('\n');
	close(fd);
	return 1;
}

/* Puts a name behind the first `length` bytes of `path`. */
static void append(size_t length, const char *name)
{
	size_t more = strlen(name);
	if (length + more + 2 > sizeof path)
		errx(1, "%s/%s: the path is too long", path, name);
	path[length] = '/';
	memcpy(path + length + 1, name, more + 1);
}

/* `length` of what stands in `path` is the name of `folder`, which is closed. */
static void tell_these(int folder, size_t length, const struct names *names)
{
	for (const char *name = names->bytes; name < names->bytes + names->length; name += strlen(name) + 1) {
		append(length, name);
		tell(folder, name);
	}
	path[length] = '\0';
	close(folder);
}

/* Whether netlink has told what the links have in their folders of conf. */
static int are_links_told;

/* What the kernel does not tell by netlink of a link's folder of conf (Linux 6.18). A kernel may not have all of them. */
static void tell_untold(int folder, size_t length, const char *link)
{
	static const char *const names[] = {"stable_secret", "regen_min_advance", "ra_honor_pio_life", "ra_honor_pio_pflag"};
	append(length, link);
	size_t more = length + 1 + strlen(link);
	for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
		append(more, names[at]);
		tell(folder, path + length + 1);
	}
}

/* The same where the names are not known. Returns them where there is room, and nothing but files; else `names` is empty. */
static void walk(int folder, size_t length, struct names *names)
{
	DIR *entries = fdopendir(folder);
	if (entries == NULL)
		err(1, "%s", path);
	/* A folder of links: the folders in it have the same names in them, those of the kind of setting. */
	struct names each = {.length = 0};
	int is_conf = length > 5 && strcmp(path + length - 5, "/conf") == 0;
	int is_of_links = is_conf || (length > 6 && strcmp(path + length - 6, "/neigh") == 0);
	int is_plain = 1;
	names->length = 0;
	for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
		size_t more = strlen(entry->d_name);
		if (entry->d_name[0] == '.' && strspn(entry->d_name, ".") == more)
			continue;
		append(length, entry->d_name);
		if (entry->d_type != DT_DIR) {
			tell(folder, entry->d_name);
			if (names->length + more + 1 > sizeof names->bytes)
				is_plain = 0;
			if (is_plain) {
				memcpy(names->bytes + names->length, entry->d_name, more + 1);
				names->length += more + 1;
			}
			continue;
		}
		is_plain = 0;
		if (is_conf && are_links_told && strcmp(entry->d_name, "all") != 0 && strcmp(entry->d_name, "default") != 0) {
			if (strstr(path, "/ipv6/") != NULL)
				tell_untold(folder, length, entry->d_name);
			continue;
		}
		/* A link's are gone with the link. */
		int inner = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (inner < 0)
			continue;
		if (is_of_links && each.length > 0)
			tell_these(inner, length + 1 + more, &each);
		else
			walk(inner, length + 1 + more, &each);
	}
	if (!is_plain)
		names->length = 0;
	path[length] = '\0';
	closedir(entries);
}

static uint32_t answers[16384];

/* Asks the kernel; calls `told` with what each answer carries. Returns 0 where the kernel refuses. */
static int ask(int protocol, int type, int flags, const void *body, size_t length, void (*told)(const void *, size_t))
{
	struct {
		struct nlmsghdr head;
		char body[64];
	} request = {.head = {(uint32_t)(NLMSG_HDRLEN + length), (uint16_t)type, (uint16_t)(NLM_F_REQUEST | flags), 1, 0}};
	memcpy(request.body, body, length);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return 0;
	int done = send(fd, &request, request.head.nlmsg_len, 0) < 0 ? -1 : 0;
	while (done == 0) {
		ssize_t got = recv(fd, answers, sizeof answers, MSG_TRUNC);
		if (got <= 0 || got > (ssize_t)sizeof answers) {
			done = -1;
			break;
		}
		size_t left = (size_t)got;
		for (struct nlmsghdr *one = (struct nlmsghdr *)answers; NLMSG_OK(one, left) && done == 0;
		     one = NLMSG_NEXT(one, left)) {
			if (one->nlmsg_type == NLMSG_ERROR || one->nlmsg_flags & NLM_F_DUMP_INTR)
				done = -1;
			else if (one->nlmsg_type == NLMSG_DONE)
				done = 1;
			else
				told(NLMSG_DATA(one), one->nlmsg_len - NLMSG_HDRLEN);
		}
		if (done == 0 && !(flags & NLM_F_DUMP))
			done = 1;
	}
	close(fd);
	return done > 0;
}

/* Where the attribute is; NULL without it. */
static const void *attribute(const void *from, size_t length, int type)
{
	for (const struct rtattr *one = from; RTA_OK(one, length); one = RTA_NEXT(one, length))
		if ((one->rta_type & NLA_TYPE_MASK) == type)
			return RTA_DATA(one);
	return NULL;
}

/* The same within another attribute; NULL without that one, too. */
static const void *inner_attribute(const void *outer, int type)
{
	if (outer == NULL)
		return NULL;
	const struct rtattr *whole = (const struct rtattr *)((const char *)outer - RTA_LENGTH(0));
	return attribute(outer, RTA_PAYLOAD(whole), type);
}

static uint32_t generation;
static int is_queued;
static char hex[16384];

static void tell_generation(const void *body, size_t length)
{
	const size_t head = NLMSG_ALIGN(sizeof(struct nfgenmsg));
	const void *id = length > head ? attribute((const char *)body + head, length - head, NFTA_GEN_ID) : NULL;
	uint32_t number = 0;
	if (id != NULL)
		memcpy(&number, id, sizeof number);
	generation = ntohl(number);
}

static void tell_queue(const void *body, size_t length)
{
	const struct tcmsg *one = body;
	const size_t head = NLMSG_ALIGN(sizeof *one);
	const char *kind = attribute((const char *)body + head, length - head, TCA_KIND);
	if (one->tcm_handle != 0 || kind == NULL || strcmp(kind, "noqueue") != 0)
		is_queued = 1;
}

static FILE *of_links;

/* By IPV4_DEVCONF_* of linux/ip.h, the first of which is 1, what a link's files are called. */
static const char *const names4[] = {
	"forwarding", "mc_forwarding", "proxy_arp", "accept_redirects", "secure_redirects", "send_redirects",
	"shared_media", "rp_filter", "accept_source_route", "bootp_relay", "log_martians", "tag", "arp_filter",
	"medium_id", "disable_xfrm", "disable_policy", "force_igmp_version", "arp_announce", "arp_ignore",
	"promote_secondaries", "arp_accept", "arp_notify", "accept_local", "src_valid_mark", "proxy_arp_pvlan",
	"route_localnet", "igmpv2_unsolicited_report_interval", "igmpv3_unsolicited_report_interval",
	"ignore_routes_with_linkdown", "drop_unicast_in_l2_multicast", "drop_gratuitous_arp", "bc_forwarding",
	"arp_evict_nocarrier"};
/* By DEVCONF_* of linux/ipv6.h. */
static const char *const names6[] = {
	"forwarding", "hop_limit", "mtu", "accept_ra", "accept_redirects", "autoconf", "dad_transmits",
	"router_solicitations", "router_solicitation_interval", "router_solicitation_delay", "use_tempaddr",
	"temp_valid_lft", "temp_prefered_lft", "regen_max_retry", "max_desync_factor", "max_addresses",
	"force_mld_version", "accept_ra_defrtr", "accept_ra_pinfo", "accept_ra_rtr_pref", "router_probe_interval",
	"accept_ra_rt_info_max_plen", "proxy_ndp", "optimistic_dad", "accept_source_route", "mc_forwarding",
	"disable_ipv6", "accept_dad", "force_tllao", "ndisc_notify", "mldv1_unsolicited_report_interval",
	"mldv2_unsolicited_report_interval", "suppress_frag_ndisc", "accept_ra_from_local", "use_optimistic",
	"accept_ra_mtu", "stable_secret", "use_oif_addrs_only", "accept_ra_min_hop_limit",
	"ignore_routes_with_linkdown", "drop_unicast_in_l2_multicast", "drop_unsolicited_na", "keep_addr_on_down",
	"router_solicitation_max_interval", "seg6_enabled", "seg6_require_hmac", "enhanced_dad", "addr_gen_mode",
	"disable_policy", "accept_ra_rt_info_min_plen", "ndisc_tclass", "rpl_seg_enabled", "ra_defrtr_metric",
	"ioam6_enabled", "ioam6_id", "ioam6_id_wide", "ndisc_evict_nocarrier", "accept_untracked_na",
	"accept_ra_min_lft", "force_forwarding"};

static void tell_numbers(const char *folder, const char *const *names, size_t count, const void *numbers)
{
	if (numbers == NULL)
		return;
	const struct rtattr *whole = (const struct rtattr *)((const char *)numbers - RTA_LENGTH(0));
	for (size_t at = 0; at < RTA_PAYLOAD(whole) / sizeof(int32_t); at++) {
		int32_t number = ((const int32_t *)numbers)[at];
		/* A newer kernel's has no name here. */
		if (at < count)
			fprintf(of_links, "%s/%s:%d\n", folder, names[at], number);
		else
			fprintf(of_links, "%s/number %zu:%d\n", folder, at, number);
	}
}

static void tell_link(const void *body, size_t length)
{
	const size_t head = NLMSG_ALIGN(sizeof(struct ifinfomsg));
	const char *name = attribute((const char *)body + head, length - head, IFLA_IFNAME);
	const void *families = attribute((const char *)body + head, length - head, IFLA_AF_SPEC);
	if (name == NULL)
		return;
	char folder[64 + IFNAMSIZ];
	snprintf(folder, sizeof folder, "/proc/sys/net/ipv4/conf/%s", name);
	const void *numbers = inner_attribute(inner_attribute(families, AF_INET), IFLA_INET_CONF);
	tell_numbers(folder, names4, sizeof names4 / sizeof *names4, numbers);
	snprintf(folder, sizeof folder, "/proc/sys/net/ipv6/conf/%s", name);
	numbers = inner_attribute(inner_attribute(families, AF_INET6), IFLA_INET6_CONF);
	tell_numbers(folder, names6, sizeof names6 / sizeof *names6, numbers);
}

/* Where the kernel refuses, the files are read. */
static void tell_links(void)
{
	const struct {
		struct ifinfomsg head;
		struct rtattr attribute;
		uint32_t filter;
	} request = {.attribute = {RTA_LENGTH(sizeof(uint32_t)), IFLA_EXT_MASK}, .filter = RTEXT_FILTER_SKIP_STATS};
	char *text;
	size_t length;
	of_links = open_memstream(&text, &length);
	if (of_links == NULL)
		err(1, "no memory");
	are_links_told = ask(NETLINK_ROUTE, RTM_GETLINK, NLM_F_DUMP, &request, sizeof request, tell_link);
	fclose(of_links);
	if (are_links_told)
		fwrite(text, 1, length, stdout);
	free(text);
}

static void tell_rule(const void *body, size_t length)
{
	size_t at = strlen(hex);
	for (size_t byte = 0; byte < length && at + 3 < sizeof hex; byte++, at += 2)
		snprintf(hex + at, 3, "%02x", ((const unsigned char *)body)[byte]);
}

/* A file of /proc has no size. Asking the program that lists them would load the tables. */
static int is_any_in(const char *file)
{
	char first;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	int is_any = fd >= 0 && read(fd, &first, 1) == 1;
	if (fd >= 0)
		close(fd);
	return is_any;
}

static void tell_others(void)
{
	const struct nfgenmsg any = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	const struct tcmsg queues = {.tcm_family = AF_UNSPEC};
	const struct fib_rule_hdr rules = {.family = AF_INET6};
	if (ask(NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0, &any, sizeof any, tell_generation))
		printf("nftables %u", generation);
	else
		fputs("nftables -", stdout);
	if (!ask(NETLINK_ROUTE, RTM_GETQDISC, NLM_F_DUMP, &queues, sizeof queues, tell_queue))
		is_queued = 1;
	printf(" queues %d", is_queued);
	/* Too many to be told apart by what there is room for are asked for each time. */
	if (!ask(NETLINK_ROUTE, RTM_GETRULE, NLM_F_DUMP, &rules, sizeof rules, tell_rule) || strlen(hex) + 4 > sizeof hex)
		hex[0] = '\0';
	printf(" rules6 %s", hex[0] == '\0' ? "-" : hex);
	int ip = is_any_in("/proc/net/ip_tables_names"), ip6 = is_any_in("/proc/net/ip6_tables_names");
	printf(" tables %s\n", ip && ip6 ? "ip,ip6" : ip ? "ip" : ip6 ? "ip6" : "-");
}

int main(int count, char **folders)
{
	static struct names names;
	tell_others();
	tell_links();
	for (int at = 1; at < count; at++) {
		size_t length = strlen(folders[at]);
		if (length + 1 > sizeof path)
			errx(1, "%s: the path is too long", folders[at]);
		memcpy(path, folders[at], length + 1);
		int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* A kernel has not all of them. */
		if (folder >= 0)
			walk(folder, length, &names);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
