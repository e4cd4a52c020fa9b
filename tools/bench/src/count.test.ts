import { expect, test } from 'vitest';
import { countIn } from './count.ts';

test('an exec counts when it succeeds, also when another thread interrupted its line', () => {
  const text = [
    '7 execve("/opt/bridge", ["/opt/bridge"], 0x7ffd /* 5 vars */) = 0',
    '8 execve("/usr/local/bin/nft", ["nft"], 0xc000) = -1 ENOENT (No such file or directory)',
    '8 execve("/usr/sbin/nft", ["nft"], 0xc000 <unfinished ...>',
    '7 sendto(3, "hello", 5, 0, NULL, 0) = 5',
    '8 <... execve resumed>) = 0',
  ];
  expect(countIn(text.join('\n')).processes).toBe(2);
});

test('each netlink message counts, a transaction by its beginning', () => {
  const text = [
    '7  sendto(6, [{nlmsg_len=52, nlmsg_type=RTM_GETLINK}, {ifi_family=AF_UNSPEC}], 52, 0, NULL, 0) = 52',
    '7  sendto(9, [{nlmsg_len=116, nlmsg_type=0x10 /* NLMSG_??? */}, "\\x00"], 116, 0, NULL, 0) = 116',
    '7  sendmsg(8, {msg_iov=[{iov_base=[[{nlmsg_len=20, nlmsg_type=NFNL_MSG_BATCH_BEGIN}], ' +
      '[{nlmsg_len=80, nlmsg_type=NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_NEWRULE}], ' +
      '[{nlmsg_len=20, nlmsg_type=NFNL_MSG_BATCH_END}]]}]}, 0) = 120',
    '7  sendto(5, "AUTH EXTERNAL", 13, 0, NULL, 0) = 13',
  ];
  expect(countIn(text.join('\n'))).toEqual({ processes: 0, requests: 5, transactions: 1 });
});

test('a replaced table of legacy iptables is a transaction', () => {
  expect(countIn('9 setsockopt(4, SOL_IP, IPT_SO_SET_REPLACE, "nat", 672) = 0').transactions).toBe(1);
  expect(countIn('9 setsockopt(4, SOL_NETLINK, NETLINK_EXT_ACK, [1], 4) = 0').transactions).toBe(0);
});
