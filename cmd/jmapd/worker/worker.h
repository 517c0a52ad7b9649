/*
 * The worker role: owns client connections. One thread, one loop, no disk.
 */
#pragma once

int worker_main(unsigned index);
