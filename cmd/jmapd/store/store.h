/*
 * The store role: the JMAP engine and the database; the only process that sees
 * mail. No client sockets.
 */
#pragma once

int store_main(unsigned index);
