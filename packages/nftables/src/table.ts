import { attributes } from '@cni-ts/netlink/attributes';
import { asciiz, be32, bytes } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { type Netlink, NLM_F } from '@cni-ts/netlink/socket';
import { commentBytes, readComment } from './comment.ts';
import { families, messageType, type NftFamily, nfgenmsg } from './nfnetlink.ts';
import { type Question, question } from './question.ts';
import { type Change, change, NLM_F_NONREC, unlessAbsent } from './transaction.ts';

const NFT_MSG_NEWTABLE = 0;
const NFT_MSG_GETTABLE = 1;
const NFT_MSG_DELTABLE = 2;

/** A table: the name space of chains and sets of one family. */
export interface Table {
  readonly family: NftFamily;
  readonly name: string;
  readonly comment?: string;
}

const tableMessage = message(
  nfgenmsg,
  attributes('NFTA_TABLE_', { name: [1, asciiz], flags: [2, be32], use: [3, be32], userdata: [6, bytes] }),
);

/** `inet cni_plugins_masquerade`, as nft writes it. */
export function tableText(table: Table): string {
  return `${table.family} ${table.name}`;
}

/** There already: stays as it is (its comment too). */
export function addTable(table: Table): Change {
  return change(`add table ${tableText(table)}`, NFT_MSG_NEWTABLE, NLM_F.create, tableMessage, {
    family: families[table.family],
    name: table.name,
    flags: 0,
    userdata: table.comment === undefined ? undefined : commentBytes(table.comment),
  });
}

/** With everything in it. ENOENT if it is not there. */
export function deleteTable(table: Table): Change {
  return removal(table, 0);
}

/** EBUSY while it has a chain or set that this transaction does not delete. */
export function deleteEmptyTable(table: Table): Change {
  return removal(table, NLM_F_NONREC);
}

function removal(table: Table, flags: number): Change {
  return change(`delete table ${tableText(table)}`, NFT_MSG_DELTABLE, flags, tableMessage, {
    family: families[table.family],
    name: table.name,
  });
}

/** The table as the kernel has it; undefined if it is not there. */
export function findTable(nl: Netlink, table: Table): Table | undefined {
  const found = unlessAbsent(`look for table ${tableText(table)}`, () =>
    nl.get({
      name: 'NFT_MSG_GETTABLE',
      type: messageType('nftables', NFT_MSG_GETTABLE),
      flags: 0,
      message: tableMessage,
      value: { family: families[table.family], name: table.name },
    }),
  );
  if (!found) return undefined;
  const comment = readComment(found.userdata);
  return { family: table.family, name: table.name, ...(comment === undefined ? {} : { comment }) };
}

/** For how many chains, sets and other objects the table has: the kernel counts them, so nothing is listed. */
export function countQuestion(table: Table): Question<number> {
  return question(
    `count what is in table ${tableText(table)}`,
    {
      name: 'NFT_MSG_GETTABLE',
      type: messageType('nftables', NFT_MSG_GETTABLE),
      flags: 0,
      message: tableMessage,
      value: { family: families[table.family], name: table.name },
    },
    (found) => found?.use ?? 0,
  );
}
