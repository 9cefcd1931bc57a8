import { assert, assertEquals } from "@std/assert";
import { giveBackStartMemory, unwritten } from "../../../ffi/start_memory.ts";

const SMAPS = `\
55d000000000-55d000010000 r--p 00000000 fe:00 2147345                    /usr/bin/livenessd
Size:                 64 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me sd
55d000010000-55d000090000 r-xp 00010000 fe:00 2147345                    /usr/bin/livenessd
Size:                 64 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me sd
55d000090000-55d0000a0000 r--p 00090000 fe:00 2147345                    /usr/bin/livenessd
Size:                 64 kB
Anonymous:             8 kB
Swap:                  0 kB
VmFlags: rd mr mw me sd
55d0000a0000-55d0000b0000 r--p 000a0000 fe:00 2147345                    /usr/bin/livenessd
Size:                 64 kB
Anonymous:             0 kB
Swap:                  8 kB
VmFlags: rd mr mw me sd
55d0000b0000-55d0000c0000 r--p 000b0000 fe:00 2147345                    /usr/bin/livenessd
Size:                 64 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me ac sd
55d0000c0000-55d0000d0000 rw-p 000c0000 fe:00 2147345                    /usr/bin/livenessd
Size:                 64 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd wr mr mw me sd
7f0000000000-7f0000010000 r--p 00000000 fe:00 77                         /usr/lib/libc.so.6
Size:                 64 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me sd
7f0000010000-7f0000020000 rw-p 00000000 00:00 0 
Size:                 64 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me sd
`;

Deno.test("what is unmapped is of the file, and nobody ever wrote to it or could have", () => {
  assertEquals(unwritten(SMAPS, "/usr/bin/livenessd"), [
    { start: 0x55d000000000n, end: 0x55d000010000n },
    { start: 0x55d000010000n, end: 0x55d000090000n },
  ]);
});

Deno.test("a file's name is compared whole, and may have spaces", () => {
  const named = SMAPS.replaceAll("/usr/bin/livenessd", "/opt/my daemons/livenessd (deleted)");
  assertEquals(unwritten(named, "/opt/my daemons/livenessd (deleted)").length, 2);
  assertEquals(unwritten(named, "/opt/my daemons/livenessd"), []);
});

Deno.test({
  name: "giving start memory back makes the process smaller, and it runs on",
  sanitizeResources: false, // The C library stays loaded.
  async fn() {
    const before = Deno.memoryUsage().rss;
    await giveBackStartMemory();
    const after = Deno.memoryUsage().rss;
    assert(after < before - 8e6, `${before} bytes before, ${after} after`);
    // Through the runtime's code and its snapshot once more.
    assertEquals(await new Response(new Blob(["still here"]).stream()).text(), "still here");
  },
});
