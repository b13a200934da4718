// Asks the browser for a passkey, and sends what it answers with the form around the question.
// Every page works without this script, or says what to do instead.
"use strict";

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

// Questions come in JSON, where identifiers are base64url.
const read = (json) => {
  const question = JSON.parse(json).publicKey;
  question.challenge = bytes(question.challenge);
  if (question.user) question.user.id = bytes(question.user.id);
  for (const known of [...(question.allowCredentials ?? []), ...(question.excludeCredentials ?? [])]) {
    known.id = bytes(known.id);
  }
  return question;
};

// Answers go back the same way (PublicKeyCredential.toJSON, which older browsers don't have).
const write = (answer) => {
  const response = {};
  for (const part of ["attestationObject", "authenticatorData", "clientDataJSON", "signature", "userHandle"]) {
    if (answer.response[part]) response[part] = text(answer.response[part]);
  }
  return JSON.stringify({ id: answer.id, rawId: text(answer.rawId), type: answer.type, response });
};

const start = (part) => {
  const form = part.closest("form");
  const button = part.querySelector("button");
  const say = (what) => {
    for (const hint of part.querySelectorAll("[data-when]")) hint.hidden = hint.dataset.when !== what;
  };
  say("");
  button.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    button.disabled = true;
    try {
      const publicKey = read(part.dataset.question);
      const isNew = part.dataset.passkey === "new";
      const answer = await navigator.credentials[isNew ? "create" : "get"]({ publicKey });
      form.elements.passkey.value = write(answer);
      // Sends the form as it is, without this function.
      form.submit();
    } catch (error) {
      say(error.name === "InvalidStateError" ? "known" : "refused");
    }
    button.disabled = false;
  });
};

if (window.PublicKeyCredential) document.querySelectorAll("[data-passkey]").forEach(start);
