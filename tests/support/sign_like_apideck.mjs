// Computes the content that Apideck signs, in JavaScript. Reads one base64-encoded body per line,
// and writes one line of JSON for each: the two sorted forms, base64-encoded, or null for a body
// that JSON.parse rejects.
import { createInterface } from "node:readline";

function sortKeys(value, insideArrays) {
  if (Array.isArray(value)) {
    return insideArrays ? value.map((item) => sortKeys(item, insideArrays)) : value;
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  return Object.keys(value)
    .sort()
    .reduce((sorted, key) => {
      sorted[key] = sortKeys(value[key], insideArrays);
      return sorted;
    }, {});
}

function sortedForms(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return [false, true].map((insideArrays) =>
    Buffer.from(JSON.stringify(sortKeys(value, insideArrays))).toString("base64"),
  );
}

for await (const line of createInterface({ input: process.stdin })) {
  const text = Buffer.from(line, "base64").toString("utf8");
  process.stdout.write(`${JSON.stringify(sortedForms(text))}\n`);
}
