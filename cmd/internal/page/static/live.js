// Brings the marked parts of a page up to date when the desk says that
// something has changed. Without this file every page works the same, and is as
// new as its last loading.
(() => {
	"use strict";
	if (!window.EventSource || !document.querySelector("[data-live]")) return;
	let busy = false, again = false;

	// A part is left alone while somebody is at work in it.
	const inUse = part => part.contains(document.activeElement) && document.activeElement.matches("input, button, summary, a") ||
		getSelection().type === "Range" && part.contains(getSelection().anchorNode);

	const update = async () => {
		if (document.hidden || busy) { again = true; return; }
		busy = true;
		again = false;
		try {
			const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
			if (answer.ok) {
				const next = new DOMParser().parseFromString(await answer.text(), "text/html");
				for (const part of document.querySelectorAll("[data-live]")) {
					const fresh = next.querySelector(`[data-live="${part.dataset.live}"]`);
					if (!fresh || fresh.innerHTML === part.innerHTML) continue;
					if (inUse(part)) { again = true; continue; }
					const open = [...part.querySelectorAll("details")].map(d => d.open);
					part.replaceChildren(...document.importNode(fresh, true).childNodes);
					part.querySelectorAll("details").forEach((d, i) => { if (open[i]) d.open = true; });
				}
			}
		} catch { again = true; }
		busy = false;
	};

	// The desk tells what has happened since this page was made.
	const source = new EventSource("/live?since=" + encodeURIComponent(document.body.dataset.state || ""));
	source.addEventListener("changed", update);
	let opened = false; // what happened between two connections is not told
	source.addEventListener("open", () => { if (opened) update(); opened = true; });
	document.addEventListener("visibilitychange", () => { if (again) update(); });
	document.addEventListener("focusout", () => setTimeout(() => { if (again) update(); }, 500));
	addEventListener("pagehide", () => source.close());
})();
