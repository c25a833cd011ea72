// Who is signed in. A real application has its own sign-in; here the development issuer stands in
// for it, and you can be anybody.

import { VaultSessionError } from "./vault-session.js";

const PERSON = "fieldnotes.person";
const select = document.querySelector("#person");
const picture = document.querySelector("#picture");

let people = [];
let urls = {};

/** Finds out who can sign in, and calls `onChange(person)` now and at every change. */
export async function startAccount(onChange) {
  urls = await getJson("/config.json");
  people = await getJson(`${urls.issuer}/people`);
  select.append(...people.map((one) => new Option(`${one.name}, ${one.org_name}`, one.id)));
  select.value = sessionStorage.getItem(PERSON) ?? people[0].id;
  select.disabled = false;
  select.addEventListener("change", () => {
    sessionStorage.setItem(PERSON, select.value);
    show(onChange);
  });
  show(onChange);
}

/** The person who is signed in, or undefined. */
export function signedIn() {
  return people.find((person) => person.id === select.value);
}

/** Where Vault BFF is, and as whom to call it: what `vault-session.js` wants to know. */
export async function vaultAccess() {
  const url = `${urls.service}/vault-session`;
  if (!signedIn()) return { url };
  const answer = await getJson(`${urls.issuer}/token?person=${encodeURIComponent(select.value)}`);
  return { url, token: answer.access_token };
}

export function focusSignIn() {
  select.focus();
}

function show(onChange) {
  const person = signedIn();
  picture.hidden = !person;
  if (person) picture.src = person.picture;
  onChange(person);
}

async function getJson(url) {
  try {
    const response = await fetch(url);
    return await response.json();
  } catch (cause) {
    const detail = "The sign-in cannot be reached. Please try again in a moment.";
    throw new VaultSessionError({ type: "network", detail }, { cause });
  }
}
