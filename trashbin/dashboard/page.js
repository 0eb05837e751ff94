// What the page does without the server: settings, handing over a picture, going to the login.
"use strict";

document.addEventListener("change", (event) => {
  const { set, go } = event.target.dataset;
  if (set === "bin") {
    const url = new URL(location.href);
    if (event.target.value) url.searchParams.set("bin", event.target.value);
    else url.searchParams.delete("bin");
    url.searchParams.delete("page");
    location.href = url;
  } else if (set) {
    document.cookie = `${set}=${event.target.value};path=/;max-age=31536000;samesite=strict`;
    location.reload();
  } else if (go !== undefined) {
    event.target.form.requestSubmit();
  } else if (event.target.id === "picture" && event.target.files.length) {
    judge(event.target.files[0]);
  }
});

document.addEventListener("input", (event) => {
  const shown = event.target.type === "range" && document.getElementById(`${event.target.id}-value`);
  if (!shown) return;
  const language = document.documentElement.lang;
  shown.textContent = Number(event.target.value).toLocaleString(language, { minimumFractionDigits: 2 });
});

document.addEventListener("click", (event) => {
  if (event.target.id === "picture") event.target.value = ""; // the same one may be chosen again
});

let judged = 0;

async function judge(file) {
  const mine = ++judged; // a picture that was chosen later may be done earlier
  const result = document.getElementById("result");
  result.setAttribute("aria-busy", "true");
  result.innerHTML = result.dataset.judging;
  try {
    const answer = await fetch(`/try/judge?name=${encodeURIComponent(file.name)}`, {
      method: "POST",
      body: file,
    });
    if (answer.status === 401) location.reload(); // by way of the login
    const text = await answer.text();
    if (mine !== judged) return;
    result.innerHTML = text;
    const preview = document.getElementById("preview");
    if (preview) preview.src = URL.createObjectURL(file);
  } catch {
    if (mine !== judged) return;
    result.innerHTML = result.dataset.failed;
  }
  result.removeAttribute("aria-busy");
}

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    // who misses the place would see the picture in place of the page
    const place = document.querySelector(".drop");
    if (!place || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    place.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) judge(event.dataTransfer.files[0]);
  });
}

// Cards come and go above the buttons under the pointer. These stay where they are: another item
// would get the answer. Where there is no pointer, and one has scrolled, so does the card in the middle.
const touched = matchMedia("(hover: none)");
let pointed = null;
let place = 0;

function note() {
  if (pointed) place = pointed.getBoundingClientRect().top;
}

function look() {
  if (touched.matches) {
    const middle = scrollY > 0 && document.elementFromPoint(innerWidth / 2, innerHeight / 2);
    pointed = middle ? middle.closest("article") : null;
  }
  note();
}

document.addEventListener("scroll", look);
document.addEventListener("pointermove", (event) => {
  if (touched.matches) return;
  pointed = event.target.closest?.(".asks, .item summary");
  note();
});
new MutationObserver(() => {
  const moved = pointed?.isConnected ? pointed.getBoundingClientRect().top - place : 0;
  if (moved) {
    document.body.style.minHeight = `${scrollY + innerHeight + moved}px`; // else it may be too short
    scrollBy({ top: moved, behavior: "instant" });
  } else if (pointed && !pointed.isConnected) {
    look();
  }
}).observe(document.documentElement, { childList: true, subtree: true });

// A card that is answered goes, and the next one's buttons come to lie where its own were: who clicks
// again, or just now, did not mean that item.
const AGAIN_MS = 700;
const NEAR = 30; // pixels
let at = { x: 0, y: 0 };
let over = null; // the buttons there
let left = { x: 0, y: 0, when: -Infinity }; // where they went from under the pointer

for (const kind of ["pointermove", "pointerdown"]) {
  document.addEventListener(kind, (event) => {
    at = { x: event.clientX, y: event.clientY };
    over = event.target.closest?.(".asks");
  });
}
new MutationObserver(() => {
  if (!over || over.isConnected) return;
  left = { ...at, when: performance.now() };
  over = null;
}).observe(document.documentElement, { childList: true, subtree: true });
document.addEventListener(
  "click",
  (event) => {
    const soon = event.timeStamp - left.when < AGAIN_MS;
    const there = Math.hypot(event.clientX - left.x, event.clientY - left.y) < NEAR;
    const mouse = event.detail > 0; // a key's has none, and means what has the focus
    if (soon && there && mouse && event.target.closest?.(".asks")) event.stopPropagation();
  },
  true,
);

// NiceGUI's popup knows no Indonesian.
const words = document.currentScript.dataset;
document.getElementById("popup").innerHTML =
  `<span>${words.lost}</span><span>${words.reconnecting}</span>`;

// All times are of the page's own zone.
if (Number(words.minutes) !== -new Date().getTimezoneOffset()) {
  document.documentElement.dataset.elsewhere = "";
}

// On a phone the page's own link may be out of sight. Vue has drawn it by then.
document.addEventListener("DOMContentLoaded", () => {
  const current = document.querySelector("nav [aria-current]");
  current.scrollIntoView({ inline: "center", block: "nearest" });
});

// NiceGUI tries to reconnect for ever; who has no session any more must log in.
document.addEventListener("DOMContentLoaded", () => {
  window.socket.on("connect_error", async () => {
    const answer = await fetch("/look/page.js", { cache: "no-store" }).catch(() => null);
    if (answer?.status === 401) location.reload(); // by way of the login
  });
});
