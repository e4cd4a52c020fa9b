/** What an archive's programs are made of, as CycloneDX has it (1.6, JSON). */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { Part } from '@cni-ts/bundle/linked-parts';
import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library';
import type { Built } from './programs.ts';
import type { Release } from './release-notes.ts';
import { hashOf } from './tar.ts';

/** The text of the bill for `archive`. It follows from the archive and the release, so it is the same for both builds. */
export function billOfMaterials(
  archive: string,
  { architecture, parts }: Built,
  { version, date }: Release,
): string {
  const sha512 = hashOf('sha512', archive);
  const program = component(Enums.ComponentType.Application, {
    name: 'cni-ts',
    version,
    licence: 'Apache-2.0',
    purl: `pkg:generic/cni-ts@${version}?arch=${architecture}&os=linux`,
    role: `CNI plugins and cnitool for Linux on ${architecture}: ${basename(archive)}`,
  });
  program.hashes.set(Enums.HashAlgorithm['SHA-256'], hashOf('sha256', archive));
  program.hashes.set(Enums.HashAlgorithm['SHA-512'], sha512);
  const components = parts.map((part) => component(Enums.ComponentType.Library, part));
  for (const one of components) program.dependencies.add(one.bomRef);
  const bom = new Models.Bom({
    serialNumber: serialNumber(sha512),
    metadata: new Models.Metadata({ component: program, timestamp: new Date(date * 1000) }),
    components: new Models.ComponentRepository(components),
  });
  const factory = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6);
  return `${new Serialize.JsonSerializer(factory).serialize(bom, { sortLists: true, space: 2 })}\n`;
}

function component(type: Enums.ComponentType, part: Omit<Part, 'text'>): Models.Component {
  const { name, version, licence, purl, role } = part;
  // The library's own type for an identifier of SPDX is a text that is known to be one.
  const one = licence.includes(' ') ? new Models.LicenseExpression(licence) : new Models.SpdxLicense(licence);
  const licenses = new Models.LicenseRepository([one]);
  return new Models.Component(type, name, { bomRef: purl, version, purl, licenses, description: role });
}

/** A UUID (RFC 9562, version 8) that is the archive's. */
function serialNumber(sha512: string): string {
  const hex = createHash('sha256').update(sha512).digest('hex').slice(0, 32).split('');
  hex[12] = '8';
  hex[16] = 'a';
  const parts =
    hex
      .join('')
      .match(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/)
      ?.slice(1) ?? [];
  return `urn:uuid:${parts.join('-')}`;
}
